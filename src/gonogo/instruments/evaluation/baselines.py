"""Predictors that know nothing, put in the model's place under the run's own evaluation."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.instruments.answers import controls
from gonogo.instruments.evaluation import evaluations
from gonogo.instruments.evaluation.oracle import Oracle
from gonogo.instruments.evaluation.oracle import answering as answering_right
from gonogo.training import batch as nested
from gonogo.training.session import Session

Change = Callable[[Tensor, int], Tensor]


def constant(answer: Tensor, axis: int) -> Tensor:
    """Every row gets the mean answer of the batch: an input-blind copy of the model, with its priors."""
    return answer.mean(axis, keepdim=True).expand_as(answer).clone()


def exchanged(answer: Tensor, axis: int) -> Tensor:
    """Every row gets the answer of another one."""
    rows = answer.shape[axis]
    return answer.roll(1 + rows // 3, axis)


def reordered(answer: Tensor, axis: int) -> Tensor:
    """The scores of every row in a random order; where a row has one number, the rows in a random order."""
    last = answer.dim() - 1
    along = last if last > axis and answer.shape[last] > 1 else axis
    return answer.index_select(along, torch.tensor(controls.order(answer.shape[along], 1), device=answer.device))


@dataclass(slots=True)
class Replaced:
    """How often an answer was replaced."""

    count: int = 0


@contextmanager
def answering(model: nn.Module, change: Change, rows: Callable[[], int]) -> Iterator[Replaced]:
    """The outputs of the model's calls go through `change` wherever they have a row per sample."""
    seen = Replaced()

    def leaf_of(_: str, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or not leaf.is_floating_point() or not rows():
            return leaf
        axis = nested.row_axis(leaf, rows())
        seen.count += axis is not None
        return leaf if axis is None else change(leaf.detach(), axis)

    handle = model.register_forward_hook(lambda module, inputs, output: nested.map_leaves(leaf_of, output))
    try:
        yield seen
    finally:
        handle.remove()


def scores(session: Session, model: nn.Module, change: Change | None = None, limit: int = 3) -> Mapping[str, float]:
    """The numbers of the run's own evaluation of some batches of valid; empty if no answer could be replaced."""
    rows = [0]

    def note(batch: Any) -> None:
        rows[0] = nested.size(batch) or 0

    if change is None:
        return evaluations.evaluate(session, model, limit=limit).metrics
    with answering(model, change, lambda: rows[0]) as seen:
        found = evaluations.evaluate(session, model, limit=limit, note=note).metrics
    return found if seen.count else {}


def by_construction(session: Session, model: nn.Module, *, wrong: bool, limit: int = 3) -> Mapping[str, float]:
    """The numbers of answers that are right, or wrong, by construction; empty where the layout is not understood."""
    oracle = Oracle(session.claims, wrong)
    with answering_right(model, oracle):
        found = evaluations.evaluate(session, model, limit=limit, note=oracle.look).metrics
    return found if oracle.replaced and not oracle.kept else {}
