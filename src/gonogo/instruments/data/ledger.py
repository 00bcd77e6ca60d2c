"""What a training loader hands out in an epoch, sample by sample, and what its workers draw."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from gonogo.audit.fingerprints import Unreadable, fingerprint
from gonogo.errors import NotApplicable
from gonogo.training import seeding
from gonogo.training.session import Session

WAIT = 30.0  # seconds for a worker process to answer


@dataclass(frozen=True, slots=True)
class Pass:
    """Fingerprints of what one pass over a loader gave, and whether it came to an end."""

    prints: tuple[bytes, ...]
    complete: bool


def read_pass(items: Iterable[Any], *, most: int, seconds: float) -> Pass:
    """One pass over an iterable, at most so many items and so long."""
    end, prints = time.monotonic() + seconds, []
    for item in items:
        if len(prints) == most or time.monotonic() > end:
            return Pass(tuple(prints), complete=False)
        prints.append(print_of(item))
    return Pass(tuple(prints), complete=True)


@dataclass(frozen=True, slots=True)
class Count:
    """How many batches one pass gave, and whether it came to an end."""

    batches: int
    complete: bool


def count_pass(items: Iterable[Any], *, most: int, seconds: float) -> Count:
    """One pass over an iterable, at most so many items and so long, counted only."""
    end, batches = time.monotonic() + seconds, 0
    for _ in items:
        if batches == most or time.monotonic() > end:
            return Count(batches, complete=False)
        batches += 1
    return Count(batches, complete=True)


def print_of(item: Any) -> bytes:
    """The fingerprint of a batch or sample.

    Raises:
        NotApplicable: It holds objects that cannot be read.
    """
    try:
        return fingerprint(item)
    except Unreadable as kind:
        raise NotApplicable(f"samples hold objects of a kind that cannot be compared ({kind})") from None


def length_of(loader: Any) -> int | None:
    """What len() says of a loader, None if it has no length."""
    try:
        return len(loader)
    except TypeError:
        return None


def torch_loader(loader: Any) -> DataLoader[Any] | None:
    """The DataLoader in what a subject gives as a loader: itself, or the only one that its wrapper holds."""
    if isinstance(loader, DataLoader):
        return loader
    held = [value for value in getattr(loader, "__dict__", {}).values() if isinstance(value, DataLoader)]
    return held[0] if len(held) == 1 else None


def map_style(session: Session, name: str) -> DataLoader[Any]:
    """A loader of a split whose data set is read by index.

    Raises:
        NotApplicable: It has none.
    """
    loader = torch_loader(session.loader(name))
    data: Any = getattr(loader, "dataset", None)
    if loader is None or isinstance(data, IterableDataset) or not hasattr(data, "__len__") or not len(data):
        raise NotApplicable(f"the {name} loader is no DataLoader over a data set that is read by index")
    return loader


def by_workers(loader: DataLoader[Any], indices: Sequence[int], workers: int) -> DataLoader[Any]:
    """The samples at `indices`, read by worker processes in turn: each as the data set gives it, not collated."""
    return DataLoader(
        loader.dataset,
        batch_sampler=[[index] for index in indices],
        collate_fn=_first,
        num_workers=workers,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context if workers else None,
        persistent_workers=loader.persistent_workers,
        timeout=WAIT if workers else 0,
    )


def items_of_stream(loader: DataLoader[Any], workers: int) -> DataLoader[Any]:
    """The items of an iterable data set as its workers yield them, not batched."""
    return DataLoader(
        loader.dataset,
        batch_size=None,
        collate_fn=_same,
        num_workers=workers,
        worker_init_fn=loader.worker_init_fn if workers else None,
        multiprocessing_context=loader.multiprocessing_context if workers else None,
        timeout=WAIT if workers else 0,
    )


def multiplicity(single: Iterable[bytes], several: Iterable[bytes]) -> int:
    """K if each print of `single` occurs k times as often in `several`, and nothing else does; else 0."""
    one, other = Counter(single), Counter(several)
    if not one or one.keys() != other.keys():
        return 0
    ratios = {other[key] / count for key, count in one.items()}
    ratio = ratios.pop()
    return int(ratio) if not ratios and ratio == int(ratio) else 0


def copies(session: Session, loader: DataLoader[Any], limit: int) -> int | None:
    """How often each item of a finite stream comes when its workers read it; None where that cannot be told."""
    if not isinstance(loader.dataset, IterableDataset) or loader.num_workers < 2:
        return None
    seconds = 0.1 * session.seconds_left
    fresh = [torch_loader(session.loader("train")) for _ in range(2)]
    if fresh[0] is None or fresh[1] is None:
        return None
    with seeding.seeded(session.seed):
        one = read_pass(items_of_stream(fresh[0], 0), most=limit, seconds=seconds)
        if not one.complete:
            return None
        workers = items_of_stream(fresh[1], loader.num_workers)
        several = read_pass(workers, most=limit * loader.num_workers, seconds=seconds)
    return (multiplicity(one.prints, several.prints) or None) if several.complete else None


def is_random(loader: DataLoader[Any], indices: Sequence[int], seed: int) -> bool:
    """Do most samples change when they are read twice in this process?"""
    data: Any = loader.dataset
    with seeding.seeded(seed):
        first, second = ([print_of(data[index]) for index in indices] for _ in range(2))
    return sum(one != two for one, two in zip(first, second, strict=True)) > len(indices) / 2


def distinct(loader: DataLoader[Any], indices: Sequence[int]) -> int:
    """How many different samples there are at these indices."""
    data: Any = loader.dataset
    return len({print_of(data[index]) for index in indices})


def some_indices(loader: DataLoader[Any], limit: int) -> list[int]:
    """A few indices of the data set that the loader draws from."""
    drawn = islice(loader.sampler, limit) if loader.batch_size is not None else range(limit)
    try:
        with torch.random.fork_rng(devices=[]):
            return sorted({int(index) for index in drawn})
    except (TypeError, ValueError):
        raise NotApplicable("the sampler gives no plain indices") from None


def _first(items: Any) -> Any:
    return items[0]


def _same(item: Any) -> Any:
    return item
