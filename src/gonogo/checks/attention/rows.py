"""Attention weights are shares of the keys: what a query reads must add up to one."""

from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.attention import Weights, attention_weights
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_TOLERANCE = 2e-2  # bfloat16 has 8 bits


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    explains=("sequence.", "model.batch-mixing", "learning."),
    criteria=[
        at_most("wrong_axis", fail=0, source="ours: sums of 1 along another axis than the keys are a contradiction")
    ],
    since="0.1",
)
def rows(session: Session) -> Observation:
    """Attention weights add up over the keys | Attention weights add up over another axis

    What: follows scores (a product of activations) through softmax to the product with the values, in evaluation mode.
        `wrong_axis` counts products of square weights whose sums over the keys are not 1 while those over another axis
        (queries, heads, batch) are: the softmax ran over the wrong one.
    Why: with dim=1 where -1 was meant, queries compete for keys, or heads or samples with each other; shapes fit,
        the loss falls, and in a causal model the future leaks through the denominator.
    Fix: softmax(dim=-1) on scores [batch, head, query, key].
    Shapes: weights [..., query, key] with as many queries as keys.
    Units: wrong_axis: products.
    Source: A. Vaswani et al., Attention Is All You Need (2017), section 3.2.1; ours.
    """
    found = attention_weights(session)
    if not found:
        raise NotApplicable("no softmax of scores is multiplied with values; fused attention is right by construction")
    wrong = [weights for weights in found if _is_wrong(weights)]
    table = [(str(weights.shape), weights.over_keys, weights.elsewhere) for weights in found]
    return Observation(
        {"wrong_axis": Measurement(len(wrong), "{product}", n=len(found))},
        (Table("Distance of sums from 1", ("shape of the weights", "over keys", "over another axis"), tuple(table)),),
    )


def _is_wrong(weights: Weights) -> bool:
    # Assignments to clusters are pooled over the samples on purpose; they are not square.
    square = weights.shape[-1] > 1 and weights.shape[-1] in weights.shape[1:-1]
    return square and weights.over_keys > _TOLERANCE and weights.elsewhere < _TOLERANCE


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
