"""What is evaluated must be prepared as training data is, but for what augmentation draws."""

from collections.abc import Iterable
from statistics import median

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Event, Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.evidence import Pass
from gonogo.watch.recorded import edited, recorded

LEAST = 3  # batches of each kind whose spread is compared


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("drawn_anew", warn=0, source="exact, but crops that are drawn in evaluation too may be meant"),
        at_most("rescaled", warn=1.8, source="ours: a missing Normalize makes 2 to 5; augmentation, mixup below 1.5"),
    ],
    since="0.6",
)
def evaluation_data(session: Session) -> Observation:
    """Evaluation data is prepared as training data is | Evaluation data is drawn anew, or of another scale

    What: looks at passes over other data than is trained on, without gradient. `drawn_anew` counts those that read the
        same samples in the same order as an earlier one and found other numbers in the first of them. `rescaled` is the
        ratio of the usual spread (standard deviation) of what the model is given in training and in evaluation, or the
        other way round, for samples of one shape, where no batch of the one has the spread of any of the other.
    Why: random_split of one data set gives the validation the augmentation of the training: each score is of other
        images, and of harder ones. A transform with ToTensor alone beside one with Normalize shows the model numbers
        that it never saw.
    Fix: two data sets, each with its own transform, and Subsets of them by the same permutation; the same Normalize, or
        the same fitted scaler, in both.
    Shapes: any, the first axis the batch.
    Units: drawn_anew: {evaluation}; rescaled: 1 (n: batches of evaluations).
    Source: discuss.pytorch.org, "Using ImageFolder, random_split with multiple transforms"; ours.
    """
    recording = recorded(session.subject)
    found = [one for one in evidence.evaluations(recording) if not any(call["grad"] for call in one.calls)]
    if not found:
        raise NotApplicable("no evaluation without gradient over a loader of other data was seen")
    anew = list(_anew(found, evidence.loaders(recording)))
    trained, evaluated = _spreads(recording, {one.number for one in found})
    measured = {"drawn_anew": Measurement(len(anew), "{evaluation}", n=len(found))}
    if min(len(trained), len(evaluated)) >= LEAST:
        measured["rescaled"] = Measurement(_ratio(trained, evaluated), n=len(evaluated))
    rows = [("samples drawn anew in the pass read at", evidence.lines([{"line": one.line} for one in anew]))] * bool(
        anew
    )
    rows += [("spread in " + name, median(all_)) for name, all_ in _named(trained, evaluated) if all_]
    return evidence.observed(measured, [Table("Evaluation data", ("finding", "value"), tuple(rows))])


def _named(trained: list[float], evaluated: list[float]) -> Iterable[tuple[str, list[float]]]:
    return (("training", trained), ("evaluation", evaluated))


def _anew(found: list[Pass], loaders: dict[int, Event]) -> Iterable[Pass]:
    """Passes over the samples of an earlier one, in whose order they came, that found something else in them."""
    before: dict[tuple[int, int, int | None], int] = {}
    for one in found:
        told = loaders[one.loader]
        if one.first is not None and one.indices:
            key = (told["dataset"], one.order, told["batch_size"])
            if before.setdefault(key, one.first) != one.first:
                yield one


def _spreads(recording: Recording, passes: set[int]) -> tuple[list[float], list[float]]:
    """Of what the trained models are given in training and in these passes, in samples of the shape that is usual."""
    trained = evidence.trained(recording)
    calls = [call for call in recording.of("call") if call["model"] in trained and call.get("spread")]
    evaluated = [call for call in calls if call.get("pass") in passes]
    if len({call["model"] for call in calls}) != 1 or not evaluated:
        return [], []
    shape = evaluated[0]["shape"]
    learnt = [call["spread"] for call in calls if call["grad"] and call["training"] and call["shape"] == shape]
    return learnt, [call["spread"] for call in evaluated if call["shape"] == shape]


def _ratio(one: list[float], other: list[float]) -> float:
    low, high = sorted((one, other), key=median)
    return median(high) / median(low) if max(low) < min(high) else 1.0


@fault(toy="watched", expect=Status.WARN)
def the_transform_of_the_training_is_used(subject: Subject) -> Subject:
    """One augmenting data set is split at random."""
    passes = iter(range(10_000))
    return edited(subject, lambda e: {**e, "first": next(passes), "order": 1} if e["kind"] == "pass" else e)


@fault(toy="watched", expect=Status.WARN)
def normalize_is_missing(subject: Subject) -> Subject:
    """The transform of the validation ends with ToTensor()."""
    return edited(subject, lambda e: {**e, "spread": e["spread"] / 4} if e["kind"] == "call" and not e["grad"] else e)
