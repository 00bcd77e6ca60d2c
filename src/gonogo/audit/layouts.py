"""Which fields of a batch have one row per sample, and which of them have lost rows."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from gonogo.audit import fields, samples
from gonogo.training import batch as batches
from gonogo.training.session import Session

_TOKENS = 100_000  # elements of an integer field that are looked through


@dataclass(slots=True)
class Layout:
    """Shapes of one batch of `rows` samples, and what its fields say about how many rows another may have.

    Attributes:
        shapes: Shape by path; of a list inside the batch, its length.
        lists: Integer fields in one dimension: positions, not features.
        indices: Lengths of lists of distinct rows ("these samples have this stream"), by path.
        counts: Per field, sums of a mask, and rows in which a marker (an image token, say) stands.
    """

    rows: int
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    lists: set[str] = field(default_factory=set)
    indices: dict[str, int] = field(default_factory=dict)
    counts: dict[tuple[str, object], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lost:
    """A field with fewer rows than its batch has samples."""

    path: str
    batch: int
    rows: int
    expected: int


def read(session: Session, name: str, *, limit: int, seconds: float) -> list[Layout]:
    """Layouts of some batches of a split, of different sizes where the loader allows it."""
    end = time.monotonic() + seconds
    found: list[Layout] = []
    for rows, batch in _batches(session, name, limit):
        counted = fields.rows_of(batch, session.claims) or 0
        found.append(_layout(batch, rows if rows is not None and _has_rows(batch, rows) else counted))
        if time.monotonic() > end:
            break
    return found


def _has_rows(batch: Any, rows: int) -> bool:
    """Some field has a row for each index; else the collate function dropped samples as a whole."""
    return any(rows in tensor.shape[:2] for tensor in batches.tensors(batch).values())


def lost_rows(layouts: list[Layout]) -> list[Lost]:
    """The fields that have a row per sample in general, and fewer in some batch."""
    paths = {path: None for layout in layouts for path in layout.shapes}
    return [one for path in paths for one in _lost(path, [layout for layout in layouts if path in layout.shapes])]


def _lost(path: str, layouts: list[Layout]) -> list[Lost]:
    sizes = [layout.shapes[path][0] for layout in layouts]
    rows = [layout.rows for layout in layouts]
    short = [Lost(path, at, s, b) for at, (s, b) in enumerate(zip(sizes, rows, strict=True)) if s < b]
    if not short or any(s > b for s, b in zip(sizes, rows, strict=True)):
        return []  # more rows than samples: nodes, tokens, crops
    if _behind_one(path, layouts):
        return short
    if len(set(sizes)) == 1:
        return []  # always the same: weights per class, (2, edges), (1, ...) that is broadcast
    never_full = all(s < b for s, b in zip(sizes, rows, strict=True))
    if never_full and any(path in layout.lists for layout in layouts):
        return []  # a list of positions
    return [] if _is_time(path, layouts) or _is_explained(path, sizes, layouts) else short


def _behind_one(path: str, layouts: list[Layout]) -> bool:
    """(1, k * samples, ...) of pictures: all of them were put into one list, as if one sample had brought them."""
    shapes = [layout.shapes[path] for layout in layouts]
    if any(shape[0] != 1 or len(shape) < 5 for shape in shapes):
        return False
    per = {(shape[1] / layout.rows, *shape[2:]) for shape, layout in zip(shapes, layouts, strict=True)}
    return len(per) == 1 and per.pop()[0] >= 1 and len({layout.rows for layout in layouts}) > 1


def _is_time(path: str, layouts: list[Layout]) -> bool:
    """The leading axis is no axis of samples: (time, batch, ...), (time, time), or the time axis of another field."""
    own = [layout.shapes[path] for layout in layouts]
    if all(len(shape) > 1 and shape[1] in (shape[0], layout.rows) for shape, layout in zip(own, layouts, strict=True)):
        return True
    others = {other for layout in layouts for other in layout.shapes if other != path}
    return any(_same_length(own, [layout.shapes.get(other, ()) for layout in layouts]) for other in others)


def _same_length(own: list[tuple[int, ...]], other: list[tuple[int, ...]]) -> bool:
    return all(len(b) > 1 and a[0] in b[1:3] for a, b in zip(own, other, strict=True))


def _is_explained(path: str, sizes: list[int], layouts: list[Layout]) -> bool:
    """Another field tells which samples the rows belong to, so that the model can put them back."""
    said = [{("index", key): n for key, n in one.indices.items() if key != path} | one.counts for one in layouts]
    keys = set.intersection(*(set(one) for one in said))
    return any(all(one[key] == size for size, one in zip(sizes, said, strict=True)) for key in keys)


def _batches(session: Session, name: str, limit: int) -> Iterator[tuple[int | None, Any]]:
    loader = samples.loader_of(session, name)
    groups = _groups(loader, limit)
    if not groups:
        yield from ((None, batch) for batch in islice(loader, 4 * limit))  # in the hope to reach the ragged last one
        return
    for group in groups:
        yield len(group), loader.collate_fn([loader.dataset[index] for index in group])
    try:
        # One size less: tells an axis of samples from one that has the same length by chance.
        shorter = loader.collate_fn([loader.dataset[index] for index in groups[0][:-1]])
    except Exception:  # the user's collate function may need pairs or full batches
        return
    yield len(groups[0]) - 1, shorter


def _groups(loader: Any, limit: int) -> list[list[int]]:
    """Indices of a few batches, the ragged last one included; none if the data set is not read by index."""
    indices, size = samples.indices_of(loader), getattr(loader, "batch_size", None)
    if indices is None:
        return []
    if size is None:
        return [list(group) for group in islice(loader.batch_sampler, limit)]
    order = [indices[at] for at in islice(samples.spread(len(indices), 1), limit * size)]
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    ragged = len(indices) % size
    if loader.drop_last and ragged and len(groups) > 1 and len(groups[-1]) < size:
        groups.pop()
    elif ragged and not loader.drop_last:
        groups[-1] = groups[-1][:ragged]
    return groups


def _layout(batch: Any, rows: int) -> Layout:
    layout = Layout(rows)
    for path, leaf in _fields(batch, rows):
        if isinstance(leaf, list):
            layout.shapes[path] = (len(leaf),)
        elif leaf.dim():
            layout.shapes[path] = tuple(leaf.shape)
            _note(layout, path, leaf.detach())
    return layout


def _fields(node: Any, rows: int, path: str = "") -> Iterator[tuple[str, Any]]:
    """Tensors by path; a list of things per sample is one field, not as many as it has entries."""
    parts = fields.as_mapping(node)
    if batches.is_numeric(node):
        yield path or "batch", batches.as_tensor(node)
    elif parts is None and isinstance(node, list | tuple):
        if path and _is_per_sample(node, rows):
            yield path, list(node)
            return
        parts = dict(enumerate(node))
    for key, value in (parts or {}).items():
        yield from _fields(value, rows, f"{path}.{key}" if path else str(key))


def _is_per_sample(node: list[Any] | tuple[Any, ...], rows: int) -> bool:
    """A list of texts, or of tensors without an axis of samples."""
    tensors = [batches.as_tensor(item) for item in node if batches.is_numeric(item)]
    if len(node) == rows or len(tensors) < len(node):
        return True
    return not any(tensor.dim() and len(tensor) == rows for tensor in tensors)


def _note(layout: Layout, path: str, tensor: Tensor) -> None:
    if tensor.is_floating_point() or tensor.is_complex() or not 0 < tensor.numel() <= _TOKENS:
        return
    if tensor.dim() == 1:
        layout.lists.add(path)
        distinct = len(tensor.unique()) == len(tensor)
        if distinct and tensor.dtype is not torch.bool and int(tensor.min()) >= 0 and int(tensor.max()) < layout.rows:
            layout.indices[path] = len(tensor)
    if len(tensor) == layout.rows:
        _count(layout, path, tensor)


def _count(layout: Layout, path: str, tensor: Tensor) -> None:
    values, of_value = tensor.unique(return_inverse=True)
    if set(values.tolist()) <= {0, 1}:
        layout.counts[path, "sum"] = int(tensor.sum())
        layout.counts[path, "rows"] = int(tensor.bool().reshape(layout.rows, -1).any(1).sum())
        return
    if tensor.dim() != 2 or len(values) * layout.rows > _TOKENS:
        return
    flat = torch.arange(layout.rows)[:, None] * len(values) + of_value.cpu()
    per_row = torch.bincount(flat.flatten(), minlength=layout.rows * len(values)).view(layout.rows, -1)
    for column, value in enumerate(values.tolist()):
        present = per_row[:, column][per_row[:, column] > 0]
        if len(present.unique()) == 1:  # a marker stands equally often wherever it stands; a word does not
            layout.counts[path, value] = len(present)
