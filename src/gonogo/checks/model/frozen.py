"""What is said to be frozen must not move."""

from typing import Any

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.training_steps import cycled
from gonogo.training import fingerprint
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("moved", fail=0, source="exact: weights equal bit for bit"),
        at_most("matches_nothing", fail=0, source="exact: a claim about parameters that do not exist"),
        at_most(
            "statistics_moved", warn=0, source="ours: running statistics of frozen layers move by design in some runs"
        ),
    ],
    since="0.1",
)
def frozen(session: Session, *, steps: int = 3) -> Observation:
    """Frozen parameters stay as they are | Frozen parameters move

    What: takes some optimizer steps and compares all parameters named in Claims(frozen=...) bit for bit. `moved` counts
        those that changed, `matches_nothing` the claimed prefixes that name no parameter, `statistics_moved` the
        buffers below them that changed.
    Why: freezing by a name that matches nothing, or after the optimizer was built, trains what was to be kept; weight
        decay moves even parameters without gradient.
    Fix: set requires_grad=False before the optimizer is built, leave them out of it, and print what is trainable; put
        frozen normalisation layers in evaluation mode.
    Shapes: any.
    Units: moved: parameters; matches_nothing: claims; statistics_moved: buffers.
    Source: ours; mmpretrain issue 702 (frozen_stages ignored).
    """
    if not session.claims.frozen:
        raise NotApplicable("nothing is claimed to be frozen")
    model = session.model
    parameters = {name: p for name, p in model.named_parameters() if _claimed(session, name)}
    buffers = {name: b for name, b in model.named_buffers() if _claimed(session, name)}
    before = {name: fingerprint.digest(value) for name, value in (parameters | buffers).items()}
    for batch in cycled(session, steps * max(1, session.claims.accumulation)):
        session.step(batch)
    changed = [name for name, value in (parameters | buffers).items() if fingerprint.digest(value) != before[name]]
    empty = [prefix for prefix in session.claims.frozen if not _matched(prefix, parameters | buffers)]
    moved = [name for name in changed if name in parameters]
    rows = [(name, "moved") for name in changed] + [(prefix, "names nothing") for prefix in empty]
    return Observation(
        {
            "moved": Measurement(len(moved), "{parameter}", n=steps),
            "matches_nothing": Measurement(len(empty), "{claim}"),
            "statistics_moved": Measurement(len(changed) - len(moved), "{buffer}", n=steps),
        },
        (Table("Claimed to be frozen", ("name", "finding"), tuple(rows)),),
    )


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
