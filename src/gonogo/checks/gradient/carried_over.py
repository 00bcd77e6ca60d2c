"""The gradient of an update must not hold that of the update before."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers import equivalence
from gonogo.instruments.step import own_steps
from gonogo.instruments.step.own_steps import OwnSteps
from gonogo.training.session import Session
from gonogo.training.subject import Subject

LIMIT = 1e-2


@check(
    needs={C.MODEL, C.OPTIMIZER, C.TRAIN, C.STEP},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("carried_over", fail=LIMIT, source="ours: 0 where gradients are cleared, 0.3 to 2 where they are not")
    ],
    explains=("gradient.accumulation", "gradient.vanishing-exploding", "learning."),
    since="0.1",
)
def carried_over(session: Session) -> Observation:
    """Each update has its own gradient | Gradients are carried over into the next update

    What: takes two updates with the run's own step, twice from the same start; the second time all gradients that the
        first update left behind are removed before the run goes on. `carried_over` is how much this changes what the
        optimizer holds at its second update, relative to its norm. A third run like the first gives the noise.
    Why: without zero_grad every update repeats all gradients since the beginning. The loss falls at first, like with
        too much momentum, and then oscillates or diverges.
    Fix: call optimizer.zero_grad() once per update: before backward, or after optimizer.step(), and with accumulation
        only after the last micro-batch of the window.
    Shapes: any.
    Units: carried_over: 1.
    Source: stackoverflow.com question 60335387 (why zero_grad is needed); ours.
    """
    batches = session.batches("train", limit=2 * max(session.claims.accumulation, 1))
    as_it_is, removed, again = (_second_update(session, batches, clean) for clean in (False, True, False))
    if not float(removed.norm()):
        raise NotApplicable("the second update has no gradient of its own")
    found = equivalence.compare(as_it_is, removed, noise=equivalence.relative_error(again, as_it_is))
    rows = (("left as it is", float(as_it_is.norm())), ("leftovers removed", float(removed.norm())))
    return Observation(
        {"carried_over": found.measured(LIMIT)},
        (Table("Gradient at the second update", ("gradients before it", "norm"), rows),),
    )


def _second_update(session: Session, batches: list[Any], clean: bool) -> Tensor:
    """What the optimizers that took the first update hold at their next one."""
    own = OwnSteps(session)
    first = own.until_update(batches)
    own_steps.refuse_closures(first)
    if not first:
        raise NotApplicable("the subject's step never called optimizer.step()")
    fired = sorted({update.optimizer for update in first})
    if clean:
        for parameter in (parameter for index in fired for parameter in own.held(index)):
            parameter.grad = None
    found: dict[int, Tensor] = {}
    for _ in range(own_steps.PATIENCE):
        for update in own.until_update(batches, patience=1):
            found.setdefault(update.optimizer, update.gradient)
        if found.keys() >= set(fired) or session.seconds_left < 0:
            break
    if not found.keys() >= set(fired):
        raise NotApplicable("there was no second update")
    return torch.cat([found[index] for index in fired])


def _stepping(subject: Subject, body: Callable[[Tensor, nn.Module, Any], None]) -> Subject:
    """A copy with a step of its own: `body` does what follows the loss."""

    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        model.train()
        loss = subject._given("loss")(model, batch)
        body(loss, model, optimizer)
        return float(loss.detach())

    return replace(subject, step=step)


@fault()
def never_cleared(subject: Subject) -> Subject:
    """zero_grad is missing."""

    def body(loss: Tensor, model: nn.Module, optimizer: Any) -> None:
        loss.backward()
        optimizer.step()

    return _stepping(subject, body)


@fault(toy="regressor")
def never_cleared_but_clipped(subject: Subject) -> Subject:
    """zero_grad is missing, and clipping hides how large the gradients become."""

    def body(loss: Tensor, model: nn.Module, optimizer: Any) -> None:
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()

    return _stepping(subject, body)
