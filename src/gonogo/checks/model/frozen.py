"""What is said to be frozen must not move."""

from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.loss.teachers import restless
from gonogo.instruments.step.training_steps import cycled
from gonogo.training import fingerprint
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("moved", fail=0, source="exact: weights equal bit for bit"),
        at_most("restless", fail=0, source="exact: the same inputs and weights, another answer bit for bit"),
        at_most("matches_nothing", fail=0, source="exact: a claim about parameters that do not exist"),
        at_most(
            "statistics_moved", warn=0, source="ours: running statistics of frozen layers move by design in some runs"
        ),
    ],
    since="0.1",
)
def frozen(session: Session, *, steps: int = 3) -> Observation:
    """Frozen parts stay as they are | Frozen parts do not stay as they are

    What: takes some optimizer steps and compares all parameters named in Claims(frozen=...) bit for bit. `moved` counts
        those that changed, `matches_nothing` the claimed prefixes that name no parameter, `statistics_moved` the
        buffers below them that changed, `restless` teachers (frozen modules on whose answer the loss depends, and no
        output of the model) that answer otherwise when a step sees the same batch again.
    Why: freezing by a name that matches nothing, or after the optimizer was built, trains what was to be kept; weight
        decay moves even parameters without gradient. A teacher in training mode drops out, and its targets are noise.
    Fix: set requires_grad=False before the optimizer is built, leave them out of it, and print what is trainable; put
        frozen normalisation layers, and teachers, in evaluation mode (an override of train() keeps them there).
    Shapes: any.
    Units: moved: parameters; restless: modules; matches_nothing: claims; statistics_moved: buffers.
    Source: ours; mmpretrain issue 702 (frozen_stages ignored).
    """
    if not session.claims.frozen:
        raise NotApplicable("nothing is claimed to be frozen")
    model = session.model
    parameters = {name: p for name, p in model.named_parameters() if _claimed(session, name)}
    buffers = {name: b for name, b in model.named_buffers() if _claimed(session, name)}
    before = {name: fingerprint.digest(value) for name, value in (parameters | buffers).items()}
    noisy = [] if session.claims.stochastic else restless(session, _parts(session), session.batches(limit=1)[0])
    for batch in cycled(session, steps * max(1, session.claims.accumulation)):
        session.step(batch)
    changed = [name for name, value in (parameters | buffers).items() if fingerprint.digest(value) != before[name]]
    empty = [prefix for prefix in session.claims.frozen if not _matched(prefix, parameters | buffers)]
    moved = [name for name in changed if name in parameters]
    rows = [(name, "moved") for name in changed] + [(name, "answers otherwise each time") for name in noisy]
    rows += [(prefix, "names nothing") for prefix in empty]
    return Observation(
        {
            "moved": Measurement(len(moved), "{parameter}", n=steps),
            "restless": Measurement(len(noisy), "{module}"),
            "matches_nothing": Measurement(len(empty), "{claim}"),
            "statistics_moved": Measurement(len(changed) - len(moved), "{buffer}", n=steps),
        },
        (Table("Claimed to be frozen", ("name", "finding"), tuple(rows)),),
    )


def _parts(session: Session) -> list[str]:
    """The outermost modules that are claimed and hold weights, but for the model itself."""
    modules = {
        name: module
        for name, module in session.model.named_modules()
        if name and any(True for _ in module.parameters())
    }
    claimed = [name for name in modules if _claimed(session, f"{name}.")]
    return [name for name in claimed if not any(name.startswith(f"{other}.") for other in claimed)]


def _claimed(session: Session, name: str) -> bool:
    return any(_names(prefix, name) for prefix in session.claims.frozen)


def _names(prefix: str, name: str) -> bool:
    return name.startswith(prefix) or f".{prefix.strip('.')}." in f".{name}."


def _matched(prefix: str, names: dict[str, Any]) -> bool:
    return any(_names(prefix, name) for name in names)


@fault()
def frozen_only_in_words(subject: Subject) -> Subject:
    """Everything is claimed to be frozen, and nothing is."""
    return subject.with_claims(frozen=("",))


@fault(expect=Status.FAIL)
def wrong_name(subject: Subject) -> Subject:
    """The claim names a part that the model does not have."""
    return subject.with_claims(frozen=("backbonne.",))


@fault(expect=Status.FAIL)
def restless_teacher(subject: Subject) -> Subject:
    """The loss pulls towards a frozen layer in training mode that drops half of its answer."""

    def change(model: nn.Module) -> nn.Module:
        teacher = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).requires_grad_(False)
        next(model.children()).add_module("teacher", teacher)
        return model

    def pulled(loss: Any) -> Any:
        def other(model: nn.Module, batch: Any) -> Tensor:
            return loss(model, batch) * (
                1 + next(model.children()).get_submodule("teacher")(torch.ones(4, 2)).square().mean()
            )

        return other

    return subject.map_model(change).map_loss(pulled).with_claims(frozen=("teacher",))
