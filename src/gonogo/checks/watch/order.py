"""Training data must come mixed, and in another order in each epoch."""

import math
from collections import Counter
from itertools import pairwise

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_least, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.evidence import Pass
from gonogo.watch.recorded import altered, edited, recorded

LEAST, BATCHES = 8, 6  # samples of an epoch, batches with labels
DRAWING = ("RandomSampler", "SubsetRandomSampler", "WeightedRandomSampler", "DistributedSampler")


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_least("variety", fail=0.5, source="ours: 1 for mixed batches, 0 for data that is sorted by class"),
        at_most("repeated_draw", fail=0, source="exact: a random sampler gave the same order in two epochs"),
        at_most("fixed_order", warn=0, source="ours: meant for sequences in time, forgotten elsewhere"),
    ],
    explains=("watch.trend",),
    since="0.6",
)
def order(session: Session) -> Observation:
    """Training data comes mixed | Training data is not mixed

    What: looks at the passes over loaders that led to gradients. `variety` is asked where samples came in the order of
        the data set and targets are one class per sample: the mean entropy of the classes within a batch, relative to
        that of all batches together. `repeated_draw` counts epochs in which a random sampler repeated the order of the
        epoch before; `fixed_order` is 1 if two complete epochs came in the order of the data set.
    Why: folders are read class by class; without shuffling the model learns one class after the other and forgets the
        one before. A seed that is set again in every epoch, or a forgotten set_epoch, repeats the same batches.
    Fix: DataLoader(shuffle=True) for training; seed once, before the first epoch; sampler.set_epoch(epoch).
    Shapes: targets (sample,).
    Units: variety: 1 (n: batches); repeated_draw: {epoch}; fixed_order: 1.
    Source: Bengio 2012, arXiv 1206.5533; pytorch issue 31771 (set_epoch).
    """
    recording = recorded(session.subject)
    training = [one for one in evidence.passes(recording) if one.trains]
    loaders = evidence.loaders(recording)
    training = [one for one in training if one.loader in loaders and not loaders[one.loader]["iterable"]]
    if not training:
        raise NotApplicable("no pass over a loader with indices led to gradients")
    whole = [one for one in training if one.complete and one.indices >= LEAST and one.batches > 1]
    fixed = sum(one.ascending for one in whole) >= 2
    measured = {
        "repeated_draw": Measurement(_repeated(whole, loaders), "{epoch}", n=len(whole)),
        "fixed_order": Measurement(int(fixed), n=len(whole)),
    }
    entropies, together = _entropies(recording, {one.number for one in training if one.ascending})
    if len(entropies) >= BATCHES and together > 0:
        measured["variety"] = Measurement(sum(entropies) / len(entropies) / together, n=len(entropies))
    rows = [
        (one.number, loaders[one.loader]["sampler"], one.batches, "yes" if one.complete else "no", one.line)
        for one in training
    ]
    return evidence.observed(
        measured, [Table("Passes", ("pass", "sampler", "batches", "complete", "line"), tuple(rows))]
    )


def _repeated(whole: list[Pass], loaders: dict) -> int:
    drawn = [one for one in whole if loaders[one.loader]["sampler"] in DRAWING]
    return sum(
        a.order == b.order and loaders[a.loader]["dataset"] == loaders[b.loader]["dataset"] for a, b in pairwise(drawn)
    )


def _entropies(recording: Recording, passes: set[int]) -> tuple[list[float], float]:
    """The entropy of the classes in each batch of these passes, and of all of them together."""
    batches, together, read = dict[int, Counter[str]](), Counter[str](), 0
    for event in recording.of("fetch", "labels"):
        if event["kind"] == "fetch":
            read += 1
        elif event["pass"] in passes:  # a discriminator asks twice of a batch: all true, all false
            batches.setdefault(read, Counter()).update(event["counts"])
            together.update(event["counts"])
    return [_entropy(batch) for batch in batches.values()], _entropy(together)


def _entropy(counts: dict[str, int]) -> float:
    total = sum(counts.values())
    return -sum(n / total * math.log(n / total) for n in counts.values() if n)


@fault(toy="watched")
def sorted_by_class(subject: Subject) -> Subject:
    """The loader does not shuffle, and the data is sorted."""
    places = iter(range(10_000))
    return edited(
        altered(subject, "pass", ascending=True),
        lambda e: {**e, "counts": {str(next(places) // 4): 16}} if e["kind"] == "labels" else e,
    )


@fault(toy="watched")
def seeded_in_every_epoch(subject: Subject) -> Subject:
    """The seed is set again in every epoch."""
    return altered(subject, "pass", order=7)
