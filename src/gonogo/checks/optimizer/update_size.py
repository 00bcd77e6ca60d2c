"""An update should be small beside the weights, and not nothing."""

import math
import statistics
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_least, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.step.training_steps import cycled
from gonogo.training import batch as nested
from gonogo.training.session import Session, all_of
from gonogo.training.subject import Subject

STEPS = 10


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps"),
    criteria=[
        at_least("update_ratio", warn=-7.0, source="ours: what float32 rounds away; measured on healthy runs: -2.0"),
        at_most("overshoot", warn=-0.3, source="measured on healthy runs: -2.0 to -0.48, or a loss that falls"),
    ],
    since="0.1",
)
def update_size(session: Session, *, steps: int = STEPS) -> Observation:
    """Updates fit the size of the weights | Updates are far too large or too small

    What: takes some optimizer steps and compares each weight matrix's largest update with its size. `update_ratio` is
        the median over the matrices of log10(norm of the update / norm of the weights), `overshoot` the same of a run
        whose loss did not fall over these steps: a small head may well grow fast while it learns.
    Why: a learning rate with a wrong power of ten overwrites the initial weights within some steps (ratio near 0), or
        rounds to nothing in low precision (ratio below -7).
    Fix: compare the learning rate with that of a published run of this kind and batch size; look for a rate given as
        text, in per cent, or multiplied by the number of processes.
    Shapes: weights with two or more axes, not zero at the start.
    Units: update_ratio, overshoot: 1 (decimal logarithm).
    Source: ours; the usual rule of thumb is a ratio near -3.
    """
    model, optimizer = session.model, session.optimizer
    held = {id(p) for one in all_of(optimizer) for group in one.param_groups for p in group["params"]}
    matrices = {n: p for n, p in model.named_parameters() if id(p) in held and p.dim() > 1 and bool(p.any())}
    sizes = {name: float(p.detach().norm()) for name, p in matrices.items()}
    largest = dict.fromkeys(matrices, 0.0)
    losses: list[float] = []
    for batch in cycled(session, steps * max(session.claims.accumulation, 1)):
        before = {name: p.detach().clone() for name, p in matrices.items()}
        with _refusing_closures(all_of(optimizer)):
            losses.append(session.step(nested.clone(batch)))
        for name, old in before.items():
            largest[name] = max(largest[name], float((matrices[name].detach() - old).norm()))
    logs = {name: math.log10(largest[name] / sizes[name]) for name in matrices if largest[name] > 0}
    if not logs or not all(math.isfinite(value) for value in logs.values()):
        raise NotApplicable("no weight matrix moved, or not to finite values")
    rows = tuple(sorted(logs.items(), key=lambda row: row[1]))
    found = {"update_ratio": Measurement(statistics.median(logs.values()), n=len(logs))}
    if not _falls(losses):
        found["overshoot"] = found["update_ratio"]
    return Observation(found, (Table("log10 of update over weight", ("parameter", "ratio"), rows, kind="bar"),))


def _falls(losses: list[float]) -> bool:
    """Do the last losses lie below the first, by more than any on the way lay above it?"""
    end = statistics.fmean(losses[-max(len(losses) // 3, 1) :])
    return end < losses[0] and max(losses) - losses[0] < losses[0] - end  # nan is below nothing


@contextmanager
def _refusing_closures(optimizers: Iterable[Optimizer]) -> Iterator[None]:
    """Raise NotApplicable at an optimizer that calls the loss itself: it makes many moves in a step, and tests each."""

    def look(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if any(callable(value) for value in [*args[1:], *kwargs.values()]):  # the first is the optimizer
            raise NotApplicable("the optimizer chooses the length of its steps itself, through a closure")

    handles = [optimizer.register_step_pre_hook(look) for optimizer in optimizers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@fault(expect=Status.WARN)
def rate_times_thousand(subject: Subject) -> Subject:
    """The learning rate is a thousand times too high."""
    return subject.map_optimizer(lambda factory: lambda model: _scaled(factory(model), 1e3))


@fault(expect=Status.WARN, toy="regressor")
def rate_next_to_nothing(subject: Subject) -> Subject:
    """Gradient descent with a learning rate of 1e-7."""
    return subject.map_optimizer(lambda factory: lambda model: _descent(model, 1e-7))


def _scaled(optimizer: Optimizer, factor: float) -> Optimizer:
    for group in optimizer.param_groups:
        group["lr"] *= factor
    return optimizer


def _descent(model: nn.Module, rate: float) -> Optimizer:
    return torch.optim.SGD(model.parameters(), lr=rate)
