"""What has a gradient and an optimizer moves."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.step import own_steps
from gonogo.instruments.step.own_steps import OwnSteps, Update
from gonogo.instruments.step.replay import parts, replay
from gonogo.training.session import Session
from gonogo.training.subject import Subject

UPDATES = 4


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps"),
    criteria=[
        at_most("held_back", fail=0, source="ours: the same gradients, stepped with alone, change the same weights")
    ],
    explains=("learning.", "optimizer.update-size"),
    since="0.1",
)
def moving(session: Session) -> Observation:
    """Every parameter with a gradient moves | Parameters with gradients do not move

    What: takes four updates with the run's own step and looks for parameters that are bit for bit what they were,
        although their optimizer had a gradient for them. `held_back` counts those that do move when a fresh optimizer
        of the same kind takes the same gradients with the same learning rates, with nothing around it.
    Why: a step that writes to a copy, a backend that writes nowhere for some memory layouts, or code that puts old
        weights back leaves a part of the model untrained while the rest makes the loss fall.
    Fix: look for code that assigns weights after the step (averages, projections, load_state_dict), for parameters
        whose memory is shared or not contiguous, and for a cast of the model after the optimizer was built. If the
        part is meant to stay, set requires_grad=False, or name it in Claims(frozen=...).
    Shapes: any.
    Units: held_back: parameters.
    Source: ours; pytorch issue 115607 and others like it (updates that are silent no-ops).
    """
    own = OwnSteps(session)
    before = {name: p.detach().clone() for name, p in own.model.named_parameters()}
    batches = session.batches("train", limit=UPDATES)
    while len(own.updates) < UPDATES * len(own.optimizers) and own.until_update(batches):
        pass
    own_steps.refuse_closures(own.updates)
    if not own.updates:
        raise NotApplicable("the subject's step never called optimizer.step()")
    still = {
        id(p): name
        for name, p in own.model.named_parameters()
        if p.requires_grad and _same(p, before[name]) and not name.startswith(session.claims.frozen or ("\0",))
    }
    pushed = _pushed(own)
    names = [name for number, name in still.items() if number in pushed]
    free = _alone(session, own.updates) if names else set()
    rows = [(name, str(tuple(before[name].shape))) for name in names if name in free]
    return Observation(
        {"held_back": Measurement(len(rows), "{parameter}", n=len(own.updates))},
        (Table("Parameters that were held back", ("parameter", "shape"), tuple(rows)),),
    )


def _same(one: Tensor, two: Tensor) -> bool:
    return one.numel() > 0 and torch.equal(one.detach(), two)


def _pushed(own: OwnSteps) -> set[int]:
    """Parameters that had a finite gradient that is not zero at three updates or more, each with a learning rate."""
    counts: dict[int, int] = {}
    for update in own.updates:
        for parameter, gradient in parts(own, update):
            real = bool(gradient.any()) and bool(torch.isfinite(gradient).all()) and min(update.rates) > 0
            counts[id(parameter)] = counts.get(id(parameter), 0) + real
    return {number for number, count in counts.items() if count >= UPDATES - 1}


def _alone(session: Session, updates: list[Update]) -> set[str]:
    """Names of the parameters that change when the gradients that were seen are all there is, in plain memory."""
    own = OwnSteps(session)
    for parameter in own.model.parameters():
        parameter.data = parameter.data.contiguous()  # an optimizer that flattens others may write to a copy
    before = {name: p.detach().clone() for name, p in own.model.named_parameters()}
    replay(own, updates)
    return {name for name, p in own.model.named_parameters() if not _same(p, before[name])}


def _put_back(model: nn.Module, optimizer: Optimizer) -> None:
    first = next(model.parameters())
    kept = first.detach().clone()

    def undo(*_: Any) -> None:
        first.data.copy_(kept)

    optimizer.register_step_post_hook(undo)


@fault()
def one_layer_is_put_back(subject: Subject) -> Subject:
    """After each step one weight is what it was, as a backend's silent no-op leaves it."""

    def change(factory: Any) -> Any:
        def build(model: nn.Module) -> Optimizer:
            optimizer = factory(model)
            _put_back(model, optimizer)
            return optimizer

        return build

    return subject.map_optimizer(change)
