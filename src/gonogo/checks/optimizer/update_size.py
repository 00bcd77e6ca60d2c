"""An update should be small beside the weights, and not nothing."""

import math
import statistics

import torch
from torch import nn
from torch.optim import Optimizer

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, within
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.training_steps import cycled
from gonogo.training import batch as nested
from gonogo.training.session import Session, all_of
from gonogo.training.subject import Subject

STEPS = 10


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps"),
    criteria=[within("update_ratio", warn=(-7.0, -0.3), source="measured on healthy runs: -2.0 to -0.48")],
    since="0.1",
)
def update_size(session: Session, *, steps: int = STEPS) -> Observation:
    """Updates fit the size of the weights | Updates are far too large or too small

    What: takes some optimizer steps and compares each weight matrix's largest update with its size. `update_ratio` is
        the median over the matrices of log10(norm of the update / norm of the weights).
    Why: a learning rate with a wrong power of ten overwrites the initial weights within some steps (ratio near 0), or
        rounds to nothing in low precision (ratio below -7).
    Fix: compare the learning rate with that of a published run of this kind and batch size; look for a rate given as
        text, in per cent, or multiplied by the number of processes.
    Shapes: weights with two or more axes, not zero at the start.
    Units: update_ratio: 1 (decimal logarithm).
    Source: ours; the usual rule of thumb is a ratio near -3.
    """
    model, optimizer = session.model, session.optimizer
    held = {id(p) for one in all_of(optimizer) for group in one.param_groups for p in group["params"]}
    matrices = {n: p for n, p in model.named_parameters() if id(p) in held and p.dim() > 1 and bool(p.any())}
    sizes = {name: float(p.detach().norm()) for name, p in matrices.items()}
    largest = dict.fromkeys(matrices, 0.0)
    for batch in cycled(session, steps * max(session.claims.accumulation, 1)):
        before = {name: p.detach().clone() for name, p in matrices.items()}
        session.step(nested.clone(batch))
        for name, old in before.items():
            largest[name] = max(largest[name], float((matrices[name].detach() - old).norm()))
    logs = {name: math.log10(largest[name] / sizes[name]) for name in matrices if largest[name] > 0}
    if not logs or not all(math.isfinite(value) for value in logs.values()):
        raise NotApplicable("no weight matrix moved, or not to finite values")
    rows = tuple(sorted(logs.items(), key=lambda row: row[1]))
    return Observation(
        {"update_ratio": Measurement(statistics.median(logs.values()), n=len(logs))},
        (Table("log10 of update over weight", ("parameter", "ratio"), rows, kind="bar"),),
    )


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
