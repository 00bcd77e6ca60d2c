"""Losses of a run over its first steps, beside those of a control: the same run with the targets of other samples."""

import itertools
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gonogo.audit import fields
from gonogo.instruments.answers import controls
from gonogo.instruments.answers.frozen_answers import equal
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.claims import Claims
from gonogo.training.session import Session, all_of

END = 0.2  # of the steps, at either end
FEWEST = 5  # steps
PATIENCE = 4.0  # times the seconds: how long they may take where others use the processor, too


@dataclass(frozen=True, slots=True)
class Curve:
    """One run over some steps.

    Attributes:
        losses: Before each step.
        rates: Largest learning rate at each step.
        moved: How far the weights went, relative to their size.
    """

    losses: tuple[float, ...]
    rates: tuple[float, ...]
    moved: float

    @property
    def finite(self) -> bool:
        return all(map(math.isfinite, self.losses))

    @property
    def ends(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The first and the last fifth of the losses."""
        count = max(1, round(END * len(self.losses)))
        return self.losses[:count], self.losses[-count:]

    @property
    def ratio(self) -> float:
        """Median of the last losses over that of the first; for losses below zero, one plus the relative change."""
        first, last = map(statistics.median, self.ends)
        return last / first if first > 0 and last >= 0 else 1 + (last - first) / (abs(first) or 1.0)

    @property
    def noise(self) -> float:
        """Standard error of the ratio, from the scatter of both ends about a line through the curve."""
        first, last = self.ends
        scatter = [abs(one - other) for one, other in itertools.pairwise(self.losses)]
        spread = 1.05 * statistics.median(scatter) if scatter else 0.0  # of normal draws, from their differences
        return 1.25 * spread * math.sqrt(1 / len(first) + 1 / len(last)) / (abs(statistics.median(first)) or 1.0)

    @property
    def warming(self) -> bool:
        """Is the learning rate at its largest only at the end?"""
        return len(self.rates) > 1 and self.rates[-1] > 1.01 * self.rates[len(self.rates) // 2]


def curve(session: Session, batches: Sequence[Any], steps: int, seconds: float) -> Curve:
    """Up to `steps` calls of the run's own step on batches in turn, FEWEST at least, from a fresh instance.

    The seconds are of the processor, so that the same steps are taken on a machine that is busy with something else.
    """
    model = session.build_model()
    optimizer = session.build_optimizer(model)
    weights = [parameter.detach().clone() for parameter in model.parameters() if parameter.requires_grad]
    end, begun = session.seconds_left - PATIENCE * seconds, time.process_time()
    losses: list[float] = []
    rates: list[float] = []
    while len(losses) < steps and (
        len(losses) < FEWEST or (time.process_time() - begun < seconds and session.seconds_left > end)
    ):
        rates.append(max(float(group["lr"]) for one in all_of(optimizer) for group in one.param_groups))
        with seeding.seeded(seeding.derive(session.seed, "curve", len(losses))):
            losses.append(session.step(nested.clone(batches[len(losses) % len(batches)]), model, optimizer))
    return Curve(tuple(losses), tuple(rates), _moved(model, weights))


def _moved(model: nn.Module, before: Sequence[torch.Tensor]) -> float:
    now = [parameter.detach() for parameter in model.parameters() if parameter.requires_grad]
    if len(now) != len(before) or any(one.shape != two.shape for one, two in zip(now, before, strict=True)):
        return math.inf  # layers were made on the way
    size = sum(float(one.norm()) ** 2 for one in before) ** 0.5
    return sum(float((one - two).norm()) ** 2 for one, two in zip(now, before, strict=True)) ** 0.5 / (size or 1.0)


def other_targets(batches: Sequence[Any], claims: Claims, seed: int) -> list[Any] | None:
    """The batches with their targets exchanged among their samples; None where it is not known which field is it."""
    found = [_exchanged(batch, claims, seeding.derive(seed, place)) for place, batch in enumerate(batches)]
    return None if any(one is None for one in found) else found


def _exchanged(batch: Any, claims: Claims, seed: int) -> Any:
    rows = nested.size(batch)
    target = fields.roles(batch, claims).target
    if not rows or rows < 2 or target is None:
        return None
    order, own = controls.order(rows, seed), {id(leaf) for _, leaf in nested.walk(target)}

    def change(_: str, leaf: Any) -> Any:
        return nested.take_rows(leaf, order, rows) if id(leaf) in own and nested.is_numeric(leaf) else leaf

    other = nested.map_leaves(change, batch)
    return None if equal(batch, other) else other
