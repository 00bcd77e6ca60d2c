"""A loss that does not move, or runs away."""

import statistics

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.recorded import edited, recorded

LEAST = 30


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("rise", warn=3.0, source="ours: a statistic of few steps, so a warning; healthy runs are below 1.5"),
        at_most("constant", warn=0, source="exact, but a run may have its reasons: one value at every step"),
    ],
    since="0.6",
)
def trend(session: Session) -> Observation:
    """The loss moves, and not away | The loss stands still or runs away

    What: `rise` is the median of the last third of the differentiated values over that of the first third, where one
        optimizer steps, all values are positive and mean the same all along: a target that a network computes, or data
        that the model itself brings about, as in reinforcement learning, make them rise in health. `constant` is 1 if
        all values are the same number.
    Why: a learning rate that is too large, a sign, or an optimizer of another model show in the first steps.
    Fix: mend what other checks found first; then lower the learning rate, or add a warm-up.
    Shapes: any.
    Units: all: 1 (n: values).
    Source: ours.
    """
    recording = recorded(session.subject)
    values = [e["value"] for e in recording.of("backward") if isinstance(e.get("value"), float)]
    if len(values) < LEAST or len(evidence.steps_of(recording)) != 1:
        raise NotApplicable(f"fewer than {LEAST} values of one optimizer's loss were seen")
    third = len(values) // 3
    first, last = statistics.median(values[:third]), statistics.median(values[-third:])
    measured = {"constant": Measurement(int(len(set(values)) == 1), n=len(values))}
    if min(values) > 0 and not _moving(recording):
        measured["rise"] = Measurement(last / first, n=len(values))
    rows = tuple(enumerate(values))
    return evidence.observed(measured, [Table("Loss", ("backward pass", "value"), rows, kind="line")])


def _moving(recording: Recording) -> bool:
    """Does a network bring about targets or data: is there a forward pass without gradient that evaluates nothing?"""
    trained = evidence.trained(recording)
    calls = recording.of("call")
    blind = [one for one in calls if not one["grad"] and (one["training"] or one["model"] not in trained)]
    often = len({one["step"] for one in blind}) > recording.steps / 2
    return often or len(blind) > len(calls) / 2


@fault(toy="watched", expect=Status.WARN)
def runs_away(subject: Subject) -> Subject:
    """The loss grows exponentially."""
    return edited(subject, lambda e: {**e, "value": 1.2 ** e["number"]} if e["kind"] == "backward" else e)
