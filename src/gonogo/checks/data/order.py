"""Training data sorted by class, read in that order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from gonogo.audit import fields, samples
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_least
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Subject

DRAWS, UNLUCKY = 200, 0.01


@check(
    needs={C.TRAIN},
    effort=Effort.READ,
    criteria=[at_least("variety", warn=0.5, source="ours: 1 for a random order, 0 for data sorted by class")],
    since="0.2",
)
def order(session: Session, *, limit: int = 32) -> Observation:
    """Batches are mixed | Batches hold one class at a time

    What: compares the classes within each of the first `limit` training batches with those of samples drawn from the
        whole split: `variety` is the mean entropy of the classes in a batch, relative to the least (1 %) that random
        draws of the same sizes have. Asked where the target is one whole number per sample, and a batch has at least
        four.
    Why: folders are read class by class. Without shuffling the model learns one class after the other and forgets the
        one before; the loss looks fine within each.
    Fix: DataLoader(shuffle=True) for train. For an order that is meant (episodes, curricula, metric learning) say
        Claims(couples_batch=True), or waive this.
    Shapes: targets (sample,).
    Units: variety: 1 (n: batches).
    Source: Bengio 2012, Practical recommendations for gradient-based training, arXiv 1206.5533.
    """
    if session.claims.couples_batch:
        raise NotApplicable("the subject claims that its batches are composed on purpose (couples_batch)")
    batches = [_classes(batch, session) for batch in session.batches("train", limit=limit)]
    if any(batch is None or len(batch) < 4 for batch in batches[:-1] or batches):
        raise NotApplicable("the targets are not one class per sample, or a batch has fewer than four")
    full = [batch for batch in batches if batch is not None and len(batch) >= 4]
    everything = _drawn(session, 64 * limit)
    if len(full) < 3 or len(set(everything)) < 2 or len(set(everything)) > len(everything) / 4:
        raise NotApplicable("too few batches or classes to speak of an order")
    draw = np.random.default_rng(session.seed)
    by_chance = [np.mean([_entropy(draw.choice(everything, len(batch))) for batch in full]) for _ in range(DRAWS)]
    found = float(np.mean([_entropy(batch) for batch in full]))
    expected = float(np.quantile(by_chance, UNLUCKY))  # of rare classes chance alone may leave none in most batches
    if not expected:
        raise NotApplicable("one class is so rare that random batches, too, may hold only the other")
    rows = tuple((place, len(batch), len(set(batch)), _entropy(batch)) for place, batch in enumerate(full))
    return Observation(
        {"variety": Measurement(found / expected, n=len(full))},
        (Table("Classes in the first batches", ("batch", "samples", "classes", "entropy, bits"), rows),),
    )


def _classes(batch: Any, session: Session) -> list[int] | None:
    found = list(nested.tensors(fields.roles(batch, session.claims).target).values())
    if len(found) != 1 or not _is_class(found[0]) or not found[0].dim():
        return None
    return found[0].flatten().tolist() if found[0].numel() == len(found[0]) else None


def _is_class(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() and not tensor.is_complex()


def _drawn(session: Session, limit: int) -> list[int]:
    """Classes of samples spread over the whole split."""
    found: list[int] = []
    with seeding.seeded(session.seed):
        reading = samples.Reading(samples.of_split(session, "train"), 0.3 * session.seconds_left, session.seed)
        for _, sample in islice(reading, limit):
            target = fields.roles(sample, session.claims).target
            if isinstance(target, int):
                found.append(target)
            else:
                found += [int(one) for one in nested.tensors(target).values() if one.numel() == 1 and _is_class(one)]
    return found


def _entropy(classes: Sequence[int] | np.ndarray[Any, Any]) -> float:
    shares = np.array(list(Counter(int(one) for one in classes).values())) / len(classes)
    return float(-(shares * np.log2(shares)).sum())


@fault(expect=Status.WARN)
def sorted_by_class(subject: Subject) -> Subject:
    """Samples are sorted by class and not shuffled."""

    def build() -> DataLoader[Any]:
        loader: Any = subject.splits["train"].batches()
        data = sorted(loader.dataset, key=lambda sample: int(sample["label"]))
        return DataLoader(data, loader.batch_size)  # type: ignore[arg-type]

    return subject.map_split("train", lambda split: replace(split, batches=build))
