"""Attention weights are shares of the keys: what a query reads must add up to one."""

from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.attention.capture import attention_maps
from gonogo.instruments.attention.weights import AttentionMap
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_TOLERANCE = 2e-2  # of sums along another axis; bfloat16 has 8 bits
_COLUMNS = ("module", "call", "batch x heads x queries x keys", "over keys", "over another axis", "rows without a key")


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    explains=("sequence.", "model.batch-mixing", "learning.", "attention.degenerate", "attention.pair-mass"),
    criteria=[
        at_most("wrong_axis", fail=0, source="ours: sums of 1 along another axis than the keys are a contradiction"),
        at_most("off", fail=0, source="rounding: 1e-9 in float64, 1e-5 in float32, 1e-2 in half precision"),
        at_most("broken", fail=0, source="a share is a finite number and not negative"),
        at_most("masked_weight", fail=1e-6, source="exp(-inf) and exp(-1e4) are exactly 0"),
    ],
    since="0.1",
)
def rows(session: Session) -> Observation:
    """Attention weights add up over the keys | Attention weights do not add up over the keys

    What: watches every call of attention of one batch in evaluation mode: torch's kernels (whose weights are computed
        again), nn.MultiheadAttention, and scores followed through a softmax to the product with the values.
        `wrong_axis` counts products of square weights whose sums over the keys are not 1 while those over another
        axis (queries, heads, batch) are; `off` other calls whose sums over the keys miss 1 by more than rounding;
        `broken` rows with a negative or non-finite weight; `masked_weight` is the largest weight of a masked key.
        Rows whose every key is masked are left out, and counted. Weights that something is done to after the softmax
        (gates, masks, the best few of them) need not add up.
    Why: with dim=1 where -1 was meant, queries compete for keys, or heads or samples with each other; shapes fit,
        the loss falls, and in a causal model the future leaks through the denominator.
    Fix: softmax(dim=-1) on scores [batch, head, query, key].
    Shapes: weights [batch, head, query, key]; of many queries an even choice is looked at.
    Units: wrong_axis, off: calls; broken: rows; masked_weight: 1.
    Source: A. Vaswani et al., Attention Is All You Need (2017), section 3.2.1; ours.
    """
    captured = attention_maps(session)
    maps = captured.maps
    wrong = sum(_is_wrong(one) for one in maps)
    off = sum(_is_off(one) for one in maps)
    broken = sum(_broken(one) for one in maps)
    masked = max((_masked(one) for one in maps), default=0.0)
    if not (wrong or off or broken):
        captured.refuse_unseen()
    table = tuple(
        (one.where, one.kind, " x ".join(map(str, one.shape)), one.over_keys, _other(one), one.empty) for one in maps
    )
    return Observation(
        {
            "wrong_axis": Measurement(wrong, "{call}", n=len(maps)),
            "off": Measurement(off, "{call}", n=len(maps)),
            "broken": Measurement(broken, "{row}", n=sum(one.spread.numel() for one in maps)),
            "masked_weight": Measurement(masked, n=len(maps)),
        },
        (Table("Distance of sums from 1", _COLUMNS, table, total=len(maps) + captured.more),),
    )


def _is_wrong(one: AttentionMap) -> bool:
    # Assignments to clusters are pooled over the samples on purpose; they are not square.
    _, h, q, k = one.shape
    return k > 1 and k in (h, q) and one.over_keys > _TOLERANCE and one.elsewhere < _TOLERANCE


def _is_off(one: AttentionMap) -> bool:
    return one.over_keys > one.tolerance and one.elsewhere > _TOLERANCE and not one.changed


def _broken(one: AttentionMap) -> int:
    bad = ~torch.isfinite(one.weights)
    if not one.changed:
        bad = bad | (one.weights < 0)
    return int((bad.any(-1) & (one.valid > 0)).sum())


def _masked(one: AttentionMap) -> float:
    if one.allowed is None or one.changed:
        return 0.0
    return float(one.weights.masked_fill(one.allowed | (one.valid == 0).unsqueeze(-1), 0.0).nan_to_num().max())


def _other(one: AttentionMap) -> float | None:
    return one.elsewhere if one.elsewhere != float("inf") else None


class _WrongAxis(nn.Module):
    """Attention of one head with the softmax over an axis of choice, in place of another module."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor, causal: bool = False) -> Tensor:
        scores = x @ x.transpose(-1, -2) / x.shape[-1] ** 0.5
        hidden = torch.ones_like(scores[0], dtype=torch.bool).triu(1)
        return x + scores.masked_fill(hidden & causal, float("-inf")).softmax(self.axis) @ x


def _with_axis(subject: Subject, axis: int) -> Subject:
    def change(model: nn.Module) -> nn.Module:
        if not hasattr(model, "attention"):
            raise NotApplicable("the model has no part called attention")
        other: Any = _WrongAxis(axis)
        model.attention = other
        return model

    return subject.map_model(change)


@fault(toy="causal_lm")
def softmax_over_queries(subject: Subject) -> Subject:
    """The softmax runs over the queries."""
    return _with_axis(subject, 1)


@fault(toy="causal_lm")
def softmax_over_the_batch(subject: Subject) -> Subject:
    """The softmax runs over the samples of the batch."""
    return _with_axis(subject, 0)
