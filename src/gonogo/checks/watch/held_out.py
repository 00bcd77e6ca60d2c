"""What the model is evaluated on must not be what it is trained on."""

from collections.abc import Iterator
from dataclasses import dataclass

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.evidence import Pass
from gonogo.watch.recorded import altered, followed, recorded


@dataclass(frozen=True)
class _Pair:
    """An evaluation, the training pass before it, and what their data has in common."""

    evaluation: Pass
    training: Pass
    shared: int
    sizes: tuple[int, int]  # samples of the evaluation's data and of the training's

    @property
    def leak(self) -> float:
        """The share of the evaluation that is trained on, where the two cross; one within the other may be meant."""
        return self.shared / self.sizes[0] if 0 < self.shared < min(self.sizes) else 0.0


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("leaked", fail=0.0, source="exact: the numbers of the samples; no split has parts that cross"),
        at_most("none_apart", warn=0, source="exact, but it may be meant to be the error on training data"),
    ],
    since="0.6",
)
def held_out(session: Session) -> Observation:
    """Evaluation reads samples that are held out | Evaluation reads samples that are trained on

    What: compares the samples, by their numbers, of each evaluation and of the training pass before it, where both are
        parts (Subset, random_split, SubsetRandomSampler) of one data set. `leaked` is the largest share of an
        evaluation's samples that is trained on too, where the parts cross. Where one lies within the other, or
        the training data itself is read in evaluation mode with a loss function, `none_apart` is 1 if no evaluation
        reads other samples only.
    Why: the score is that of memory. It is too good by an unknown amount, and the best epoch is chosen by it.
    Fix: cut the data once, by one permutation, and keep the parts; give the training loader its part and not the whole.
    Shapes: any.
    Units: leaked: 1 (n: samples of that evaluation); none_apart: 1 (n: evaluations).
    Source: ours; Kapoor and Narayanan 2023, doi:10.1016/j.patter.2023.100804.
    """
    recording = recorded(session.subject)
    pairs = [*_pairs(recording), *_rehearsed(recording)]
    if not pairs:
        raise NotApplicable("no evaluation on a part of the data set that is trained on was seen")
    worst = max(pairs, key=lambda pair: pair.leak)
    touched = {pair.evaluation.number for pair in pairs if pair.shared}
    measured = {
        "leaked": Measurement(worst.leak, n=worst.sizes[0]),
        "none_apart": Measurement(
            int(all(one.number in touched for one in evidence.evaluations(recording))), n=len(pairs)
        ),
    }
    rows = [(pair.training.line, pair.evaluation.line, pair.sizes[0], pair.shared) for pair in pairs if pair.shared]
    columns = ("trained at", "evaluated at", "samples", "trained on")
    return evidence.observed(measured, [Table("Data in both", columns, tuple(dict.fromkeys(rows)))])


def _pairs(recording: Recording) -> Iterator[_Pair]:
    """Evaluations with the training of the same model before them, where their data is of one data set."""
    loaders = evidence.loaders(recording)
    common = {tuple(event["data"]): event for event in recording.of("overlap")}
    training = [one for one in evidence.passes(recording) if one.trains and one.loader in loaders]
    for one in evidence.evaluations(recording):
        models = {call["model"] for call in one.calls}
        before = [t for t in training if t.number < one.number and models & {call["model"] for call in t.calls}]
        if not before or any(call["training"] for call in one.calls):
            continue
        mine, theirs = loaders[one.loader]["dataset"], loaders[before[-1].loader]["dataset"]
        for key, order in (((mine, theirs), 1), ((theirs, mine), -1)):
            if key in common:
                size, other = common[key]["sizes"][::order]
                yield _Pair(one, before[-1], common[key]["shared"], (size, other))


def _rehearsed(recording: Recording) -> Iterator[_Pair]:
    """Evaluations on the very data that is trained on, before training went on, where nothing else is evaluated."""
    loaders, trained = evidence.loaders(recording), evidence.trained(recording)
    training = {loaders[one.loader]["dataset"]: one for one in evidence.passes(recording) if one.trains}
    calls = [call for call in recording.of("call") if call["model"] in trained and not call["grad"]]
    if any(call.get("pass") is None for call in calls):  # tensors, or a loader of another kind
        return
    for one in evidence.rehearsals(recording):
        if one.calls[-1]["step"] < recording.steps and any(call["model"] in trained for call in one.calls):
            data = loaders[one.loader]
            size = data.get("samples") or 0
            yield _Pair(one, training[data["dataset"]], size, (size, size))


def _overlapping(subject: Subject, shared: int) -> Subject:
    loaders = [event["dataset"] for event in recorded(subject).of("loader")]
    event = {"kind": "overlap", "step": 0, "data": [loaders[-1], loaders[0]], "shared": shared, "sizes": [48, 160]}
    return followed(subject, event)


@fault(toy="watched")
def the_parts_are_cut_by_two_permutations(subject: Subject) -> Subject:
    """A second random_split gives the validation part."""
    return _overlapping(subject, 36)


@fault(toy="watched", expect=Status.WARN)
def the_training_loader_is_evaluated(subject: Subject) -> Subject:
    """evaluate(model, train_loader), at the end of each epoch."""
    passes = {one.number for one in evidence.evaluations(recorded(subject))}
    scored = [{"kind": "scored", "step": 1, "pass": number} for number in passes]
    same = altered(subject, "loader", dataset=0)
    return followed(same, *scored)


@fault(toy="watched", expect=Status.WARN)
def the_whole_is_trained_on(subject: Subject) -> Subject:
    """The training loader reads the data set that was cut, not its part."""
    return _overlapping(subject, 48)
