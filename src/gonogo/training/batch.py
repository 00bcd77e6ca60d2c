"""Batches of any nesting: walk, copy, move and take rows of them."""

import copy
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

Batch = Any
Change = Callable[[str, Any], Any]


def walk(batch: Batch, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, leaf) of everything in a batch that is not a container; paths read like 'audio.features' or '0'."""
    children = _children(batch)
    if children is None:
        yield path or "batch", batch
        return
    for key, value in children:
        yield from walk(value, f"{path}.{key}" if path else str(key))


def tensors(batch: Batch) -> dict[str, Tensor]:
    """The tensors and numeric arrays of a batch by path, as tensors."""
    return {path: as_tensor(leaf) for path, leaf in walk(batch) if is_numeric(leaf)}


def is_numeric(leaf: Any) -> bool:
    """Can the leaf be read as a tensor of numbers?"""
    if isinstance(leaf, np.ndarray):
        return leaf.dtype.kind in "biufc"
    return isinstance(leaf, Tensor)


def as_tensor(leaf: Any) -> Tensor:
    """A tensor as it is; an array as a tensor that owns its data."""
    if isinstance(leaf, Tensor):
        return leaf
    return torch.from_numpy(np.array(leaf, order="C"))


def map_leaves(change: Change, batch: Batch, path: str = "") -> Batch:
    """The same nesting with every leaf replaced by `change(path, leaf)`."""
    children = _children(batch)
    if children is None:
        return change(path or "batch", batch)
    new = [(key, map_leaves(change, value, f"{path}.{key}" if path else str(key))) for key, value in children]
    return _rebuild(batch, new)


def clone(batch: Batch) -> Batch:
    """A copy that can be damaged without harm to the original."""

    def copied(_: str, leaf: Any) -> Any:
        return leaf.detach().clone() if isinstance(leaf, Tensor) else copy.deepcopy(leaf)

    return map_leaves(copied, batch)


def to(batch: Batch, device: torch.device | None = None, dtype: torch.dtype | None = None) -> Batch:
    """The batch on a device; floating-point tensors in `dtype` where one is given."""

    def moved(_: str, leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            wanted = dtype if leaf.is_floating_point() else None
            return leaf.to(device=device, dtype=wanted)
        if dtype is torch.float64 and isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f":
            return leaf.astype(np.float64)
        # Batch types of libraries (graphs, encodings) bring their own way to move.
        move = getattr(leaf, "to", None)
        return move(device) if device is not None and callable(move) else leaf

    return map_leaves(moved, batch)


def size(batch: Batch) -> int | None:
    """The number of rows: the leading size that most tensors and lists of samples share, None if nothing has one."""
    sizes = Counter(_votes(batch))
    return sizes.most_common(1)[0][0] if sizes else None


def leading_sizes(batch: Batch) -> list[tuple[str, int]]:
    """(path, leading size) of every tensor and array with a dimension."""
    return [(path, int(leaf.shape[0])) for path, leaf in walk(batch) if hasattr(leaf, "shape") and len(leaf.shape)]


def take_rows(batch: Batch, rows: list[int], of: int) -> Batch:
    """The batch with only `rows` (repeats allowed) of every leaf and list that has `of` rows; the rest as it is."""
    return _taken(batch, rows, of, top=True)


def _taken(node: Any, rows: list[int], of: int, *, top: bool) -> Any:
    children = _children(node)
    if children is None:
        return _taken_of_leaf(node, rows, of)
    if type(node) in (list, tuple) and len(node) == of and _has_row_per_entry(node, of, top=top):
        return type(node)(node[row] for row in rows)
    return _rebuild(node, [(key, _taken(value, rows, of, top=False)) for key, value in children])


def _taken_of_leaf(leaf: Any, rows: list[int], of: int) -> Any:
    if isinstance(leaf, Tensor):
        axis = row_axis(leaf, of)
        return (
            leaf if axis is None else leaf.index_select(axis, torch.tensor(rows, dtype=torch.long, device=leaf.device))
        )
    if isinstance(leaf, np.ndarray) and leaf.ndim and leaf.shape[0] == of:
        return leaf[rows]
    return leaf


def _has_row_per_entry(node: Any, of: int, *, top: bool) -> bool:
    """Is it a list or tuple of texts, objects or samples? torch gives a tuple of texts where samples are tuples."""
    sizes = _sizes_in_samples(node, top=top)
    return (bool(sizes) and sizes != {of}) or not any(is_numeric(leaf) for _, leaf in walk(node))


def row_axis(tensor: Tensor, of: int) -> int | None:
    """The axis of the samples: the first if it has that size, else the second (sequence-first layouts), else None."""
    for axis in range(min(2, tensor.dim())):
        if tensor.shape[axis] == of:
            return axis
    return None


def _votes(batch: Batch, *, top: bool = True) -> Iterator[int]:
    """What each field says is the number of rows; a list of samples speaks as a whole."""
    children = _children(batch)
    if children is None:
        yield from (length for _, length in leading_sizes(batch))
        return
    sizes = _sizes_in_samples(batch, top=top)
    if len(sizes) < 2 and not (sizes and is_numeric(batch[0])):
        for _, value in children:
            yield from _votes(value, top=False)
        return
    if len(sizes) == 1:  # a tensor per sample, or per level of a pyramid: the other fields decide
        yield from (length for length in sizes if length is not None)
    yield len(batch)


def _sizes_in_samples(node: Any, *, top: bool) -> set[int | None]:
    """Leading sizes of the leaves in a list whose entries are alike, so that each may be a sample; empty if not so.

    The tensors of a list on top are fields, and so are a few long lists: so torch collates samples that are tuples.
    """
    if type(node) not in (list, tuple) or len(node) < 2 or (top and is_numeric(node[0])):
        return set()
    if type(node[0]) in (list, tuple) and len(node[0]) >= len(node):
        return set()
    entries = [list(walk(entry)) for entry in node]
    kinds = [[(path, type(leaf), getattr(leaf, "dtype", None)) for path, leaf in entry] for entry in entries]
    if any(kind != kinds[0] for kind in kinds) or not any(is_numeric(leaf) for _, leaf in entries[0]):
        return set()
    return {int(leaf.shape[0]) if len(getattr(leaf, "shape", ())) else None for entry in entries for _, leaf in entry}


def _children(node: Any) -> list[tuple[Any, Any]] | None:
    if isinstance(node, Mapping):
        return list(node.items())
    if isinstance(node, list | tuple):
        names = getattr(node, "_fields", None)
        return list(zip(names or range(len(node)), node, strict=True))
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        return [(item.name, getattr(node, item.name)) for item in dataclasses.fields(node)]
    return None


def _rebuild(node: Any, children: list[tuple[Any, Any]]) -> Any:
    if isinstance(node, Mapping):
        if type(node) is dict:
            return dict(children)
        new = copy.copy(node)  # keeps the type and attributes of encodings and default dicts
        for key, value in children:
            new[key] = value  # type: ignore[index]
        return new
    values = [value for _, value in children]
    if hasattr(node, "_fields"):
        return type(node)(*values)
    if isinstance(node, list | tuple):
        return type(node)(values)
    new = copy.copy(node)
    for key, value in children:
        object.__setattr__(new, key, value)
    return new
