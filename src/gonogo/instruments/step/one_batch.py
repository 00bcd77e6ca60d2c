"""Steps on one batch alone, and how far they went against the same dice and the same state.

Queues, teachers and noise move a loss by themselves. Where they do, the loss of the fitted weights is compared again
with that of the first weights, under the same seeds and beside the state that the steps left.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, all_of

LEARNED = 0.5  # below this ratio nothing more needs to be tried
MEMORISED = 0.1  # below this one no further step is needed
ACCUSED = 0.9  # up to this one nothing is asked again
PATIENCE = 5.0  # seconds after which LEARNED is enough
TAIL = 10  # last steps that are averaged: dropout and sampling make single losses jump
MOVED = 0.01  # relative: of the first weights' loss, by what the steps wrote besides weights
SEEDS = 8
ROUNDING = 1e-4  # relative


@dataclass(frozen=True, slots=True)
class Fit:
    """The loss of one batch before and after some steps, in training mode.

    Attributes:
        before: Of the first weights beside the state that the steps left (buffers, averages), once per seed.
        after: Of the weights now, under the same seeds.
        moved: What the state alone made of the loss of the first weights, relative.
        drawn: The loss of the same weights differs from seed to seed.
    """

    before: tuple[float, ...]
    after: tuple[float, ...]
    moved: float
    drawn: bool

    @property
    def fell(self) -> bool:
        """Is the loss lower now, beyond what dice can do?"""
        falls = [one - two for one, two in zip(self.before, self.after, strict=True)]
        error = statistics.stdev(falls) / math.sqrt(len(falls))
        return statistics.fmean(falls) > max(5 * error, ROUNDING * abs(statistics.fmean(self.before)))


@dataclass(frozen=True, slots=True)
class Try:
    """Steps on one batch with one learning rate.

    Attributes:
        losses: The loss before each step.
        again: The comparison under the same dice and state; None where it is not needed or cannot be had.
    """

    losses: tuple[float, ...]
    again: Fit | None = None

    @property
    def ratio(self) -> float:
        """Mean of the last losses divided by the first."""
        return ratio(self.losses)

    @property
    def fair(self) -> float:
        """The better one of the ratio and that under the same dice and state."""
        if not self._moves or self.again is None:
            return self.ratio
        return min(self.ratio, ratio([statistics.fmean(self.again.before), statistics.fmean(self.again.after)]))

    @property
    def undecided(self) -> bool:
        """Has the loss a share that no weights can take away: noise, or a target that the steps move?"""
        again = self.again
        return again is not None and (again.moved > MOVED or (again.drawn and again.fell))

    @property
    def _moves(self) -> bool:
        return self.again is not None and (self.again.drawn or self.again.moved > MOVED)


def fitted(session: Session, batch: Any, steps: int, factor: float) -> Try:
    """Up to `steps` steps of a new model on one batch, with the learning rate times `factor`."""
    model = session.build_model()
    optimizer = session.build_optimizer(model)
    for group in (group for one in all_of(optimizer) for group in one.param_groups):
        group["lr"] = group["lr"] * factor
    # Half of what is left, so that another learning rate can be tried.
    started, end = session.seconds_left, session.seconds_left / 2
    losses: list[float] = []
    while len(losses) < steps and (len(losses) < 2 or session.seconds_left > end):
        losses.append(session.step(nested.clone(batch), model, optimizer))
        if not math.isfinite(losses[-1]) or _enough(losses, started - session.seconds_left):
            break
    again = fair_fit(session, batch, model, optimizer) if ratio(losses) > ACCUSED else None
    return Try(tuple(losses), again)


def _enough(losses: Sequence[float], seconds: float) -> bool:
    """Has it learned so much that more steps would only take time?"""
    return len(losses) > 2 * TAIL and ratio(losses) < (MEMORISED if seconds < PATIENCE else LEARNED)


def ratio(losses: Sequence[float]) -> float:
    """Mean of the last losses divided by the first."""
    tail = losses[-TAIL:] if len(losses) > 2 * TAIL else losses[-1:]
    end = sum(tail) / len(tail)
    if losses[0] > 0:
        return end / losses[0]
    # Losses without a floor at 0 (likelihoods of densities): a fall by its own size counts as learned.
    return 1 + (end - losses[0]) / (abs(losses[0]) or 1.0)


def fair_fit(session: Session, batch: Any, model: nn.Module, optimizer: Optimizer) -> Fit | None:
    """Compares a fitted model with its own first weights; puts these into `model`. None if the loss cannot be had."""
    owned = {id(p) for one in all_of(optimizer) for group in one.param_groups for p in group["params"]}
    start = session.build_model()
    weights = dict(start.named_parameters())
    try:
        first = _losses(session, batch, start)
        after = _losses(session, batch, model)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if id(parameter) in owned:
                    parameter.copy_(weights[name])
        before = _losses(session, batch, model)
    except Exception:  # steps may do without the loss, or with another call of it
        return None
    if not all(map(math.isfinite, (*first, *before, *after))):
        return None
    mean = statistics.fmean(first)
    moved = abs(statistics.fmean(before) - mean) / (abs(mean) or 1.0)
    return Fit(before, after, moved, max(first) - min(first) > ROUNDING * abs(mean))


def _losses(session: Session, batch: Any, model: nn.Module) -> tuple[float, ...]:
    found = []
    for seed in range(SEEDS):
        with torch.no_grad(), seeding.seeded(seed):
            found.append(float(session.loss(nested.clone(batch), model.train())))
    return tuple(found)
