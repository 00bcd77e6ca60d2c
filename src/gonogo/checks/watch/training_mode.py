"""A model that stays in evaluation mode after the first validation trains without dropout from then on."""

from collections.abc import Iterator

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.recorded import edited, recorded


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most(
            "left_in_evaluation", fail=2, warn=0, source="exact: it trained in training mode before, now it does not"
        ),
        at_most(
            "never_in_training", warn=0, source="ours: pretrained models come in evaluation mode, often on purpose"
        ),
    ],
    since="0.6",
)
def training_mode(session: Session) -> Observation:
    """Training runs in training mode | The model is left in evaluation mode

    What: asks for each optimizer step in which mode the trained models ran with gradients before it, where they have
        dropout or batch normalisation. `left_in_evaluation` counts steps with evaluation mode only, after others with
        training mode; `never_in_training` is 1 if all of them were in evaluation mode.
    Why: evaluate() calls eval() and nobody calls train() again: from the second epoch on there is no dropout, and batch
        normalisation no longer follows the weights.
    Fix: model.train() at the beginning of each epoch, inside the loop.
    Shapes: any.
    Units: left_in_evaluation: {step}; never_in_training: 1.
    Source: pytorch-fcn issue 57; vsepp issue 4.
    """
    recording = recorded(session.subject)
    trained = evidence.trained(recording)
    calls = [event for event in recording.of("call") if event["model"] in trained]
    varying = {event["model"] for event in calls if event.get("varying", (0, 0))[1]}
    if not varying:
        raise NotApplicable("no trained model with dropout or batch normalisation was seen")
    modes = [mode for _, mode in _modes(recording, varying)]
    if not modes:
        raise NotApplicable("no step was seen behind a forward pass of the model")
    first = modes.index(True) if True in modes else len(modes)
    left = modes[first:].count(False)
    measured = {
        "left_in_evaluation": Measurement(left, "{step}", n=len(modes)),
        "never_in_training": Measurement(int(first == len(modes)), n=len(modes)),
    }
    read = {event["step"]: event.get("line") for event in calls if event["grad"]}
    rows = [(step, "training" if mode else "evaluation", read.get(step)) for step, mode in _changes(recording, varying)]
    return evidence.observed(measured, [Table("Modes before steps", ("step", "mode", "line"), tuple(rows))])


def _modes(recording: Recording, models: set[int]) -> Iterator[tuple[int, bool]]:
    """(step, was any of the models in training mode) for each optimizer step."""
    since: list[bool] = []
    for event in recording.of("call", "step"):
        if event["kind"] == "call" and event["grad"] and event["model"] in models:
            since.append(event["training"])
        elif event["kind"] == "step" and since:
            yield event["step"], any(since)
            since = []


def _changes(recording: Recording, models: set[int]) -> Iterator[tuple[int, bool]]:
    before: bool | None = None
    for step, mode in _modes(recording, models):
        if mode is not before:
            yield step, mode
        before = mode


@fault(toy="watched")
def train_is_missing_after_validation(subject: Subject) -> Subject:
    """model.train() stands before the loop over epochs."""

    def change(event: dict) -> dict:
        return {**event, "training": event["step"] < 10} if event["kind"] == "call" else event

    return edited(subject, change)
