"""The optimizer steps, once per update, and its steps move the weights."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.step import idle, own_steps
from gonogo.instruments.step.own_steps import OwnSteps, Update
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_FACT = "ours: a count, not a statistic"
UPDATES = 3


@check(
    needs={C.MODEL, C.OPTIMIZER, C.TRAIN, C.STEP},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("never_steps", fail=0, source=_FACT),
        at_most("idle_optimizers", fail=0, source=_FACT),
        at_most("repeated", fail=0, source=_FACT),
        at_most("without_effect", fail=0, source="ours: the same gradients move the weights when stepped with alone"),
    ],
    explains=("learning.", "model.unused-parameters", "gradient.", "optimizer."),
    since="0.1",
)
def steps(session: Session) -> Observation:
    """The optimizer steps once per update | The optimizer does not step as it should

    What: calls the run's own step until three updates were seen, and long enough for wide accumulation windows and
        falling loss scales. `never_steps` is 1 if neither the optimizer stepped nor any weight changed.
        `idle_optimizers` counts those of several that get gradients, never step within two epochs (in fewer calls
        nothing is certain), and whose weights stay as they were. `repeated` counts steps with a gradient that an
        earlier step in the same call had used up. `without_effect` is 1 if the steps left all weights as they were
        although a step with the same gradients alone changes them.
    Why: a forgotten optimizer.step(), one that is called twice, a loss scale that skips every step, or a backend that
        writes its update nowhere give a run that looks alive and learns nothing, or something else.
    Fix: call optimizer.step() (or scaler.step(optimizer)) once after backward; with a loss scaler look for infinite
        gradients; look for code that writes old weights back after the step.
    Shapes: any.
    Units: never_steps, without_effect: 1; idle_optimizers: optimizers; repeated: steps.
    Source: ours; pytorch issue 115607 and others like it (steps that are silent no-ops).
    """
    batches = session.batches("train", limit=4)
    own = OwnSteps(session)
    before, start = own.weights(), idle.weights(own)
    while len(own.updates) < UPDATES and own.calls < own_steps.PATIENCE and session.seconds_left > 0:
        own.until_update(batches, patience=own_steps.PATIENCE - own.calls)
    moved = not torch.equal(before, own.weights())
    if not own.updates and (moved or own.calls < own_steps.PATIENCE):
        raise NotApplicable("the weights are not moved by the optimizers that the subject gave, or time ran out")
    repeated = _repeated(own.updates)
    dead = bool(own.updates) and not moved and _alone_moves(session, own.updates)
    found = {
        "never_steps": Measurement(int(not own.updates), n=own.calls),
        "idle_optimizers": idle.optimizers(session, own, start),
        "repeated": Measurement(len(repeated), "{step}", n=len(own.updates)),
        "without_effect": Measurement(int(dead), n=len(own.updates)),
    }
    rows = tuple((u.call, u.optimizer, float(u.gradient.norm()), max(u.rates, default=0.0)) for u in own.updates)
    return Observation(found, (Table("Optimizer steps", ("call", "optimizer", "gradient", "learning rate"), rows),))


def _repeated(updates: Sequence[Update]) -> list[Update]:
    """Steps with a gradient to which nothing was added since the same optimizer's step before, in the same call."""
    found = []
    for earlier, later in ((e, u) for i, u in enumerate(updates) for e in updates[:i]):
        alike = (earlier.call, earlier.optimizer) == (later.call, later.optimizer)
        spent = later.backwards == 0 and not later.closure and bool(later.gradient.any())
        if alike and spent and torch.equal(earlier.gradient, later.gradient):
            found.append(later)
    return found


def _alone_moves(session: Session, updates: Sequence[Update]) -> bool:
    """Does a new optimizer with the gradient that was seen change any weight?"""
    own = OwnSteps(session)
    before = own.weights()
    update = updates[-1]
    if update.closure or not max(update.rates, default=0.0):
        return False
    position = 0
    for parameter in own.held(update.optimizer):
        part = update.gradient[position : position + parameter.numel()]
        parameter.grad = part.view(parameter.shape).to(parameter)
        position += parameter.numel()
    for group, rate in zip(own.optimizers[update.optimizer].param_groups, update.rates, strict=True):
        group["lr"] = rate
    own.optimizers[update.optimizer].step()
    return not torch.equal(before, own.weights())


def _with_step(subject: Subject, steps_taken: int, write_back: bool = False) -> Subject:
    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        loss = subject._given("loss")(model, batch)
        loss.backward()
        old = [parameter.detach().clone() for parameter in model.parameters()]
        for _ in range(steps_taken):
            optimizer.step()
        for parameter, kept in zip(model.parameters(), old, strict=True):
            parameter.data.copy_(kept if write_back else parameter.data)
        return float(loss.detach())

    return replace(subject, step=step)


@fault()
def never_stepped(subject: Subject) -> Subject:
    """optimizer.step() is missing."""
    return _with_step(subject, 0)


@fault(toy="regressor")
def stepped_twice(subject: Subject) -> Subject:
    """optimizer.step() is called twice per backward pass."""
    return _with_step(subject, 2)


@fault()
def written_back(subject: Subject) -> Subject:
    """The old weights are written back after every step."""
    return _with_step(subject, 1, write_back=True)


@fault()
def second_never_steps(subject: Subject) -> Subject:
    """Of two optimizers the second is forgotten."""

    def split(model: nn.Module) -> Any:
        first, *others = model.parameters()
        return torch.optim.SGD(others, lr=0.01), torch.optim.SGD([first], lr=0.01)

    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        model.zero_grad()
        (loss := subject._given("loss")(model, batch)).backward()
        optimizer[0].step()
        return float(loss.detach())

    return replace(subject, optimizer=split, step=step)  # type: ignore[arg-type]
