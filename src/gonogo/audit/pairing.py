"""Which sample each row of a collated batch comes from, field by field."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gonogo.training import batch as nested

Candidates = list[set[int]]  # per row of the batch: the samples that its content may come from


def assignments(batch: Any, singles: Sequence[Any]) -> dict[str, Candidates]:
    """Per field of a batch of `singles`, the samples that each row may come from.

    `singles` are the same samples, each collated alone. A field is left out if some row of it comes from none of them
    (the collate function changed its content), or if all samples look alike in it.
    """
    count, found = len(singles), {}
    parts = [nested.tensors(single) for single in singles]
    for path, tensor in nested.tensors(batch).items():
        axis = nested.row_axis(tensor, count)
        rows = [] if axis is None else [tensor.select(axis, row) for row in range(count)]
        alone = [_alone(part.get(path)) for part in parts]
        if not rows or any(one is None for one in alone):
            continue
        candidates = [{at for at, one in enumerate(alone) if one is not None and agree(one, row)} for row in rows]
        if all(candidates) and any(len(some) < count for some in candidates):
            found[path] = candidates
    return found


def at_odds(one: Candidates, other: Candidates) -> int:
    """How many rows cannot come from the same sample in both fields."""
    return sum(not (a & b) for a, b in zip(one, other, strict=True))


def agree(single: Tensor, row: Tensor) -> bool:
    """Is the row that sample, up to padding at the end or at the start of each axis?"""
    if single.dim() != row.dim() or single.dtype != row.dtype:
        return False
    if any(a > b for a, b in zip(single.shape, row.shape, strict=True)):
        return False
    if single.shape == row.shape:
        return _same(single, row)
    ends = tuple(slice(0, size) for size in single.shape)
    starts = tuple(slice(whole - size, whole) for size, whole in zip(single.shape, row.shape, strict=True))
    return any(_same(single, row[part]) and _constant_outside(row, part) for part in (ends, starts))


def _constant_outside(row: Tensor, part: tuple[slice, ...]) -> bool:
    inside = torch.zeros(row.shape, dtype=torch.bool)
    inside[part] = True
    outside = row.cpu()[~inside]
    return not outside.numel() or bool((outside == outside[0]).all() or outside.isnan().all())


def _same(one: Tensor, two: Tensor) -> bool:
    return bool(torch.equal(one.nan_to_num(), two.nan_to_num())) if one.is_floating_point() else torch.equal(one, two)


def _alone(single: Tensor | None) -> Tensor | None:
    """The only row of a field of a batch of one."""
    axis = None if single is None else nested.row_axis(single, 1)
    return None if single is None or axis is None else single.select(axis, 0)
