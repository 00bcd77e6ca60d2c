"""The samples of a split: by index where the data set allows it, otherwise as rows of batches."""

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from gonogo.audit import fields
from gonogo.errors import SubjectError
from gonogo.training import batch as batches
from gonogo.training import seeding
from gonogo.training.claims import Claims
from gonogo.training.session import Session

Origin = tuple[int, int]  # identity of the data set at the end of a chain of subsets, and the index in it

_REMEMBERED = 64
_CHANGES = ("transform", "target_transform", "transforms", "augment", "augmentation", "augmentations")


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one split.

    Attributes:
        count: How many there are; None if only reading to the end would tell.
        read: The sample at a position; None where the split can only be read in order.
        rows: All samples in the order of the loader; UNREADABLE where a batch cannot be taken apart.
        origin: Where the sample at a position comes from.
    """

    count: int | None
    read: Callable[[int], Any] | None
    rows: Callable[[], Iterator[Any]]
    origin: Callable[[int], Origin] | None = None


UNREADABLE = object()


def loader_of(session: Session, name: str) -> Any:
    """A new loader of a split which the check can do without, and so does not declare to need.

    Raises:
        SubjectError: It is no iterable of batches.
    """
    built = session.subject.splits[name].batches()
    if not hasattr(built, "__iter__"):
        raise SubjectError(f"splits[{name!r}] built {type(built).__name__}; expected an iterable of batches")
    return built


def of_split(session: Session, name: str, *, raw: bool = False) -> Samples:
    """The samples of a split; with `raw` before the data set's own transforms, where these can be switched off."""
    loader = loader_of(session, name)
    data, indices = getattr(loader, "dataset", None), indices_of(loader)
    if data is None or indices is None:
        return Samples(None, None, lambda: _rows_of_batches(loader_of(session, name), session.claims))
    plain = _without_transforms(data, indices) if raw else data

    def read(position: int) -> Any:
        return plain[indices[position]]

    def origin(position: int) -> Origin:
        return resolve(data, indices[position])

    return Samples(len(indices), read, lambda: (read(position) for position in range(len(indices))), origin)


def indices_of(loader: Any) -> Sequence[int] | None:
    """The indices that a loader draws from its data set; None if it has no data set that is read by index.

    The sampler counts: two loaders often share one data set and draw disjoint subsets of it.
    """
    data = getattr(loader, "dataset", None)
    if isinstance(data, IterableDataset) or not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
        return None
    batch_sampler = getattr(loader, "batch_sampler", None)
    if batch_sampler is None:
        return None  # no automatic batches: what the data set holds may be batches already
    size = len(data)  # type: ignore[arg-type]
    if type(batch_sampler) is not BatchSampler:
        return _drawn((index for group in batch_sampler for index in group), size)
    return _of_sampler(batch_sampler.sampler, size)


def _of_sampler(sampler: Any, size: int) -> Sequence[int] | None:
    if isinstance(sampler, SubsetRandomSampler):
        return _drawn(sampler.indices, size)
    if isinstance(sampler, WeightedRandomSampler):
        return [int(index) for index in torch.as_tensor(sampler.weights).nonzero().flatten()]
    # These visit everything, if not in one epoch and on one machine, then in time.
    if isinstance(sampler, SequentialSampler | RandomSampler | DistributedSampler):
        return range(size)
    return _drawn(sampler, size)


def _drawn(indices: Iterable[Any], size: int) -> list[int] | None:
    try:  # twice the size: some samplers never end
        return sorted({int(index) for index in islice(indices, 2 * size)}) or None
    except (TypeError, ValueError):
        return None


def resolve(data: Any, index: int) -> Origin:
    """The data set at the end of a chain of subsets and concatenations, and the index there."""
    while True:
        inner, inner_indices = getattr(data, "dataset", None), getattr(data, "indices", None)
        if isinstance(data, ConcatDataset):
            part = int(np.searchsorted(data.cumulative_sizes, index, side="right"))
            index -= data.cumulative_sizes[part - 1] if part else 0
            data = data.datasets[part]
        elif inner is not None and inner_indices is not None and len(inner_indices) == len(data):
            data, index = inner, int(inner_indices[index])
        else:
            return id(data), index


def _without_transforms(data: Any, indices: Sequence[int]) -> Any:
    """A copy that returns samples as stored, or the data set itself if the copy cannot be read."""
    plain = _stripped(data, 0)
    try:
        plain[indices[0]]
    except Exception:  # the user's own code may need the transform, and fail in any way
        return data
    return plain


def _stripped(data: Any, depth: int) -> Any:
    if callable(getattr(data, "with_format", None)):
        return data.with_format(None)  # how Hugging Face data sets switch their transform off
    if not isinstance(data, Dataset) or depth > 8:
        return data
    plain = copy.copy(data)
    for name, value in list(vars(data).items()):
        if name in _CHANGES and value is not None:
            object.__setattr__(plain, name, None)
        elif isinstance(value, Dataset) or hasattr(value, "with_format"):
            object.__setattr__(plain, name, _stripped(value, depth + 1))
        elif name == "datasets" and isinstance(value, list):
            object.__setattr__(plain, name, [_stripped(part, depth + 1) for part in value])
    return plain


def _rows_of_batches(loader: Iterable[Any], claims: Claims) -> Iterator[Any]:
    for batch in loader:
        of = fields.rows_of(batch, claims)
        if of is None:
            yield UNREADABLE
            continue
        # Lists of nodes or positions: which of them belong to which sample is not to be seen from here.
        mixed = any(size > of and axis is None for size, axis in _axes(batch, of))
        for row in range(of):
            yield UNREADABLE if mixed else _row(batch, row, of)


def _axes(batch: Any, of: int) -> list[tuple[int, int | None]]:
    found = batches.tensors(batch).values()
    return [(int(tensor.shape[0]), batches.row_axis(tensor, of)) for tensor in found if tensor.dim()]


def _row(node: Any, row: int, of: int) -> Any:
    """One row of every field that has rows; padding at the end is cut, because it depends on the batch."""
    if batches.is_numeric(node):
        tensor = batches.as_tensor(node)
        axis = batches.row_axis(tensor, of)
        return None if axis is None else _unpadded(tensor.select(axis, row))
    if isinstance(node, list) and len(node) == of and not any(batches.is_numeric(item) for item in node):
        return node[row]
    parts = fields.as_mapping(node)
    if parts is not None:
        return {key: _row(value, row, of) for key, value in parts.items()}
    if isinstance(node, list | tuple):
        return tuple(_row(item, row, of) for item in node)
    return None


def _unpadded(row: Tensor) -> Tensor:
    if row.dim() == 0 or len(row) < 2:
        return row
    differs = (row != row[-1]).flatten(1).any(1) if row.dim() > 1 else row != row[-1]
    last = differs.nonzero()
    return row[: int(last[-1]) + 2] if len(last) else row[:1]


class Reading:
    """Reads samples until all are read or the time is over, and then knows which of the two it was.

    Positions come spread over the whole split, so that an unfinished reading is a fair draw.
    """

    def __init__(self, samples: Samples, seconds: float, seed: int) -> None:
        self.samples, self.seed = samples, seed
        self.end = time.monotonic() + seconds
        self.seen = self.failed = 0
        self.positions: list[int] = []  # the first few that could be read
        self.complete = False

    @property
    def share(self) -> float | None:
        """The share of the split that was read; None if its size is unknown."""
        if self.complete:
            return 1.0
        return (self.seen + self.failed) / self.samples.count if self.samples.count else None

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        for position, sample in self._all():
            if sample is UNREADABLE:
                self.failed += 1
            else:
                self.seen += 1
                self.positions += [position] if len(self.positions) < _REMEMBERED else []
                yield position, sample
            if time.monotonic() > self.end:
                self.complete = self.seen + self.failed == self.samples.count
                return
        self.complete = True

    def _all(self) -> Iterator[tuple[int, Any]]:
        read, count = self.samples.read, self.samples.count
        if read is None or count is None:
            yield from enumerate(self.samples.rows())
            return
        for position in spread(count, self.seed):
            yield position, attempt(read, position)


def spread(count: int, start: int = 0) -> Iterator[int]:
    """All of 0..count-1 once, each stretch of it spread evenly over the whole; takes no memory, however many."""
    step = int(0.618 * count) | 1
    while math.gcd(step, count) > 1:
        step += 1
    return ((start + number * step) % count for number in range(count))


def attempt(read: Callable[[int], Any], position: int) -> Any:
    """The sample at a position, or UNREADABLE: one broken file must not end an audit."""
    try:
        return read(position)
    except Exception:  # the user's code may raise anything
        return UNREADABLE


def again(samples: Samples, positions: list[int], seed: int) -> list[Any]:
    """Samples read anew under another seed: by position, or as many from the start of the loader."""
    with seeding.seeded(seed):
        if samples.read is not None:
            return [attempt(samples.read, position) for position in positions]
        rows = samples.rows()
        return [row for _, row in zip(positions, rows, strict=False)]
