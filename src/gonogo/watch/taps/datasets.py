"""Which samples a loader may read: which data set, which part of it, and what two parts have in common."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, Subset, SubsetRandomSampler

from gonogo.watch.tracer import Tracer

PARTS = 16  # of a run that are compared with each other
LARGEST = 1_000_000  # samples of a part that is still compared: 64 MB


@dataclass(frozen=True)
class _Part:
    """Samples of one data set, by number; None for all of them."""

    base: int
    size: int
    samples: frozenset[int] | None


class Datasets:
    """Numbers for what loaders read: two loaders of the same samples have the same one, however they say it."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.numbers: dict[tuple[int, int | None], int] = {}
        self.parts: dict[int, _Part] = {}

    def number(self, loader: DataLoader[Any]) -> int:
        """The number of what this loader reads; parts of one data set are compared when they are first seen."""
        data, indices = _resolved(loader)
        base = self._base(data)
        digest = hash(indices) if indices is not None else None
        number = self.numbers.setdefault((base, digest), len(self.numbers))
        if number not in self.parts and len(self.parts) < PARTS:
            self._compare(number, _part(base, data, indices))
        return number

    def _base(self, data: Any) -> int:
        try:
            return self.tracer.number("dataset", data)[0]
        except TypeError:  # a list cannot be referred to weakly
            return id(data)

    def _compare(self, number: int, part: _Part | None) -> None:
        if part is None:
            return
        for other, known in self.parts.items():
            if known.base == part.base:
                sizes = [part.size, known.size]
                self.tracer.emit("overlap", data=[number, other], shared=_shared(part, known), sizes=sizes)
        self.parts[number] = part


def _resolved(loader: DataLoader[Any]) -> tuple[Any, tuple[int, ...] | None]:
    """The data set below all Subsets, and the numbers of the samples in it; None for all of them."""
    sampler = getattr(loader.batch_sampler, "sampler", loader.sampler)
    data: Any = loader.dataset
    try:
        indices = _plain(sampler.indices) if isinstance(sampler, SubsetRandomSampler) else None
        while type(data) is Subset:  # one that derives from it may read other samples
            indices = _plain(data.indices if indices is None else (data.indices[index] for index in indices))
            data = data.dataset
    except (TypeError, ValueError, IndexError):  # samples may have names
        return loader.dataset, None
    return data, indices


def _plain(indices: Iterable[Any]) -> tuple[int, ...]:
    return tuple(int(index) for index in indices)


def _part(base: int, data: Any, indices: tuple[int, ...] | None) -> _Part | None:
    if indices is not None:
        return _Part(base, len(indices), frozenset(indices)) if len(indices) <= LARGEST else None
    try:
        return _Part(base, len(data), None)
    except (TypeError, NotImplementedError):
        return None


def _shared(one: _Part, other: _Part) -> int:
    """How many samples both have."""
    if one.samples is None:
        return other.size
    return one.size if other.samples is None else len(one.samples & other.samples)
