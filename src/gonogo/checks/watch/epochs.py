"""An epoch that is cut short at the same place, or a loader that gives nothing, hides data from the training."""

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
from gonogo.watch.recorded import altered, edited, recorded

LEAST = 3


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("unseen", fail=0.5, warn=0.0, source="exact: in a fixed order, what comes behind the cut never comes"),
        at_most("empty", fail=0, source="exact: a loader of length 0"),
        at_most("not_evaluated", warn=0, source="exact: the rest behind the last whole batch; a few samples, perhaps"),
    ],
    explains=("watch.order",),
    since="0.6",
)
def epochs(session: Session) -> Observation:
    """Epochs reach all of the data | Part of the data is never reached

    What: compares the passes over loaders with their lengths. `unseen` is the share of a training loader that no pass
        reached, where three passes or more in a fixed order ended early at the same place. `empty` counts loaders of
        data that have no batch at all. `not_evaluated` is the largest number of samples that drop_last takes from an
        evaluation; in a fixed order they are always the same.
    Why: next(iter(loader)) in a loop trains on the first batch for ever where nothing shuffles; a `break` that was for
        debugging does the same with the first few. drop_last with a batch larger than the data leaves nothing, and a
        score that is divided by len(dataset) is too low by what it leaves out.
    Fix: iterate over the loader; remove the break; make the batch smaller than the data, or drop_last=False.
    Shapes: any.
    Units: unseen: 1; empty: {loader}; not_evaluated: {sample}.
    Source: ours.
    """
    recording = recorded(session.subject)
    loaders = evidence.loaders(recording)
    if not loaders:
        raise NotApplicable("no loader of torch was seen")
    training: dict[tuple[int, int], list[Pass]] = {}  # by data and length: a loader may be built anew in each epoch
    for one in evidence.passes(recording):
        if one.trains and one.closed and one.loader in loaders:
            training.setdefault(_key(loaders[one.loader]), []).append(one)
    shares = {key: _unseen(passes, key[1]) for key, passes in training.items()}
    empty = [n for n, loader in loaders.items() if loader.get("length") == 0 and loader.get("samples")]
    measured = {
        "unseen": Measurement(max(shares.values(), default=0.0), n=len(training)),
        "empty": Measurement(len(empty), "{loader}", n=len(loaders)),
        "not_evaluated": Measurement(_not_evaluated(recording, loaders), "{sample}"),
    }
    rows = [
        (n, e["samples"], e["length"], e["sampler"], len(training.get(_key(e), [])), e.get("line"))
        for n, e in loaders.items()
    ]
    columns = ("loader", "samples", "batches", "sampler", "training passes", "read at")
    return evidence.observed(measured, [Table("Loaders", columns, tuple(rows))])


def _key(loader: Event) -> tuple[int, int]:
    return loader["dataset"], loader.get("length") or 0


def _unseen(passes: list[Pass], length: int) -> float:
    ends = {one.batches for one in passes[:-1]}  # the last one may be cut by the end of the watch
    cut = len(passes) > LEAST and len(ends) == 1 and not any(one.complete for one in passes)
    if not cut or not all(one.ascending and one.indices for one in passes) or not length:
        return 0.0
    return max(1 - max(one.batches for one in passes) / length, 0.0)


def _not_evaluated(recording: Recording, loaders: dict[int, Event]) -> int:
    read = [loaders[one.loader] for one in evidence.evaluations(recording) if one.complete]
    cut = [loader for loader in read if loader["drop_last"] and loader["batch_size"] and loader["drawn"]]
    return max((loader["drawn"] % loader["batch_size"] for loader in cut), default=0)


@fault(toy="watched")
def always_the_first_batch(subject: Subject) -> Subject:
    """next(iter(loader)) in the loop, and no shuffling."""
    number = [0]

    def change(event: dict) -> dict | list:
        if event["kind"] == "backward":
            number[0] += 1
            cut = {"complete": False, "batches": 1, "waited": 0.0, "order": 1, "indices": 16, "ascending": True}
            return [{**event, "pass": number[0]}, {**event, "kind": "pass", "pass": number[0], "loader": 0, **cut}]
        return event if event["kind"] not in ("pass", "fetch") else []

    return edited(subject, change)


@fault(toy="watched")
def a_loader_is_empty(subject: Subject) -> Subject:
    """drop_last, and a batch larger than the data."""
    return altered(subject, "loader", length=0)


@fault(toy="watched", expect=Status.WARN)
def the_evaluation_drops_its_last_batch(subject: Subject) -> Subject:
    """drop_last=True in the loader of the validation."""
    return altered(subject, "loader", drop_last=True, batch_size=32)
