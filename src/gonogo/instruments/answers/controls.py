"""Controls: the same measurement where the answer cannot have anything to do with the question.

The control of a pairing is made without training: the model's answers stay, and the rows of the batch behind them are
exchanged. Whatever the loss then loses is what answers and targets had in common; penalties, constants and the shares
of classes are the same on both sides. Under no relation the true pairing is one draw among the exchanged ones.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gonogo.instruments.answers import frozen_answers
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.entry import entry
from gonogo.training.session import Session, evaluating

CERTAIN = 5.0  # standard deviations of the control: no draw by chance


@dataclass(frozen=True, slots=True)
class Pairing:
    """The loss of answers beside their own targets, and beside those of other samples.

    Attributes:
        own: Mean loss over some batches.
        exchanged: The same with the rows of each batch exchanged, once per draw.
    """

    own: float
    exchanged: tuple[float, ...]

    @property
    def gain(self) -> float:
        """What the loss gains by the true pairing; around zero where answers tell nothing of their targets."""
        return statistics.fmean(self.exchanged) - self.own

    @property
    def noise(self) -> float:
        """Standard deviation of the gain where there is no relation."""
        return statistics.stdev(self.exchanged)

    @property
    def certain(self) -> bool:
        """Do answers and targets belong together beyond chance?"""
        return self.gain > CERTAIN * self.noise and self.own < min(self.exchanged)


def pairing(session: Session, model: nn.Module, batches: Sequence[Any], draws: int = 12) -> Pairing | None:
    """The pairing of a model's answers with their batches, in evaluation mode.

    None where the loss does not compare the outputs of the model's calls with the batch, row by row.
    """
    own: list[float] = []
    exchanged: list[list[float]] = [[] for _ in range(draws)]
    for place, batch in enumerate(batches):
        rows = nested.size(batch)
        given = frozen_answers.answers(session, model, batch)
        if not rows or rows < 2 or not nested.tensors(given):
            continue
        with instead(model, given):
            own.append(_value(session, model, batch))
            for draw, values in enumerate(exchanged):
                other = nested.take_rows(batch, order(rows, seeding.derive(session.seed, place, draw)), rows)
                values.append(_value(session, model, other))
    if not own:
        return None
    found = Pairing(statistics.fmean(own), tuple(statistics.fmean(values) for values in exchanged))
    finite = all(map(math.isfinite, (found.own, *found.exchanged)))
    return found if finite and found.noise > 0 else None


def order(rows: int, seed: int) -> list[int]:
    """A random order of rows."""
    return torch.randperm(rows, generator=torch.Generator().manual_seed(seed)).tolist()


def _value(session: Session, model: nn.Module, batch: Any) -> float:
    with torch.no_grad(), evaluating(model), seeding.seeded(1):
        return float(session.loss(nested.clone(batch), model))


@contextmanager
def instead(model: nn.Module, given: list[Any]) -> Iterator[None]:
    """The calls of the model return `given` in turn, and from its start again; its own forward is not run."""
    count = [0]

    def answer(*_: Any, **__: Any) -> Any:
        count[0] += 1
        return nested.clone(given[(count[0] - 1) % len(given)])

    inner = entry(model)
    before = vars(inner).get("forward")
    vars(inner)["forward"] = answer
    try:
        yield
    finally:
        vars(inner).pop("forward")
        if before is not None:
            vars(inner)["forward"] = before
