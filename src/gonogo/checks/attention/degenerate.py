"""Attention that cannot choose, or has chosen before it has learnt anything."""

from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.instruments.attention.capture import maps_of
from gonogo.instruments.attention.weights import AttentionMap
from gonogo.instruments.step.training_steps import until_updates
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_UNIFORM, _PEAKED = 0.99, 0.05  # of the entropy over that of even attention
_MOST = 0.95  # of the rows
_COLUMNS = ("module", "call", "entropy", "even rows", "peaked rows", "rows of equal scores", "same for all samples")


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "attention.rows"),
    criteria=[
        at_most("equal", warn=0, source="exact: scores that do not differ after several updates rank nothing"),
        at_most("peaked", warn=0, source="entropy below 0.05 in 95 % of the rows: the softmax passes no gradient back"),
    ],
    since="0.3",
)
def degenerate(session: Session, *, updates: int = 4) -> Observation:
    """Attention tells keys apart | Attention is even or decided, whatever it reads

    What: looks at the rows of every attention call that may read two keys or more. `equal` counts calls of which 95 %
        of the rows have exactly equal scores, at the start and after some updates. `peaked` counts calls of which
        95 % of the rows have an entropy below 0.05 of that of even attention, at both times; rows that peak at their
        own place or all at one key are left out. Attention that is merely even (entropy above 0.99) is normal at the
        start: it is in the table, with what does not depend on the sample, and is not judged.
    Why: a zero query or key, or a softmax over one constant, makes attention a mean, and no training changes it where
        both are zero. Scores that are large from the start (no 1/sqrt(d), inputs that were not normalised) make
        it a choice by chance, and the softmax passes no gradient back that could change it.
    Fix: equal: look for zero initialisation of both query and key, or for a query that is overwritten. Peaked: divide
        scores by sqrt(d), normalise what comes in.
    Shapes: weights [batch, head, query, key].
    Units: equal, peaked: calls.
    Source: entropy collapse: S. Zhai et al., Stabilizing Transformer Training (2023); thresholds ours.
    """
    [batch] = session.batches("train", limit=1)
    captured = maps_of(session, session.model, batch)
    captured.refuse_unseen()
    maps = captured.maps
    # Only what looks wrong at the start is worth any training.
    if any(_is_equal(one) or _is_peaked(one) for one in maps):
        until_updates(session, updates)
        later = maps_of(session, session.model, batch).maps
    else:
        later = maps
    both = list(zip(maps, later, strict=False))
    return Observation(
        {
            "equal": Measurement(sum(_is_equal(a) and _is_equal(b) for a, b in both), "{call}", n=len(maps)),
            "peaked": Measurement(sum(_is_peaked(a) and _is_peaked(b) for a, b in both), "{call}", n=len(maps)),
        },
        (Table("Entropy of attention, 1 where it is even", _COLUMNS, tuple(_row(one) for one in later)),),
    )


def _is_equal(one: AttentionMap) -> bool:
    rows = one.spread[one.valid > 1]
    return _share(rows == 0) >= _MOST


def _is_peaked(one: AttentionMap) -> bool:
    entropy, best = one.entropy, one.weights.argmax(-1)
    if _share(entropy[one.valid > 1] < _PEAKED) < _MOST or one.changed:
        return False
    own = best == one.rows.to(best.device) if one.shape[2] == one.shape[3] else torch.zeros_like(best, dtype=torch.bool)
    favourite = best == best.mode(-1, keepdim=True).values if best.shape[-1] > 1 else torch.zeros_like(own)
    return _share(own | favourite) < _MOST


def _share(rows: Tensor) -> float:
    return float(rows.double().mean()) if rows.numel() else 0.0


def _row(one: AttentionMap) -> tuple[Any, ...]:
    rows = one.entropy[one.valid > 1]
    if not rows.numel():
        return one.where, one.kind, None, None, None, None, ""
    same = one.weights.shape[0] > 1 and bool((one.weights == one.weights[:1]).all())
    shares = (_share(rows > _UNIFORM), _share(rows < _PEAKED), _share(one.spread[one.valid > 1] == 0))
    return one.where, one.kind, float(rows.nanmedian()), *shares, "yes" if same else "no"


class _Scaled(nn.Module):
    """A layer whose answer is multiplied."""

    def __init__(self, inner: nn.Module, factor: float) -> None:
        super().__init__()
        self.inner, self.factor = inner, factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.inner(x)


def _with_query(subject: Subject, factor: float) -> Subject:
    def change(model: Any) -> nn.Module:
        model.attention.query = _Scaled(model.attention.query, factor)
        return model

    return subject.map_model(change)


@fault(toy="causal_lm", expect=Status.WARN)
def query_lost(subject: Subject) -> Subject:
    """The query is multiplied by zero, so that all keys are read alike."""
    return _with_query(subject, 0.0)


@fault(toy="causal_lm", expect=Status.WARN)
def scores_explode(subject: Subject) -> Subject:
    """The query is a thousand times too large, so that each row reads one key from the start."""
    return _with_query(subject, 1e4)
