"""A list of batches, put together and cut into batches of another size."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gonogo.errors import NotApplicable
from gonogo.training import batch as nested


def recut(batches: Sequence[Any], size: int) -> list[Any]:
    """The same rows in the same order, `size` to a batch.

    Raises:
        NotApplicable: It is not certain that every field has a row for each sample, and of one shape.
    """
    whole, rows = merged(batches)
    cuts = [list(range(start, min(start + size, rows))) for start in range(0, rows, size)]
    return [nested.take_rows(whole, cut, rows) for cut in cuts]


def merged(batches: Sequence[Any]) -> tuple[Any, int]:
    """(one batch of all rows, their number)."""
    sizes = [nested.size(batch) or 0 for batch in batches]
    leaves = [dict(nested.walk(batch)) for batch in batches]
    if min(sizes, default=0) < 1 or any(leaf.keys() != leaves[0].keys() for leaf in leaves):
        raise NotApplicable("the batches are not of one form")
    joined = {path: _joined([leaf[path] for leaf in leaves], sizes) for path in leaves[0]}
    return nested.map_leaves(lambda path, _: joined[path], batches[0]), sum(sizes)


def _joined(parts: list[Any], sizes: list[int]) -> Any:
    numeric = all(nested.is_numeric(part) for part in parts)
    tensors = [nested.as_tensor(part) for part in parts] if numeric else []
    rows = [len(tensor) if tensor.dim() else 0 for tensor in tensors]
    one_shape = len({(tensor.shape[1:], tensor.dtype) for tensor in tensors}) == 1
    # Weights per class may be as many as the samples of each batch; in batches of two sizes they cannot be.
    if one_shape and rows == sizes and (len(set(sizes)) > 1 or not _same(tensors)):
        return torch.cat(tensors) if isinstance(parts[0], Tensor) else np.concatenate(parts)
    shared = _same(tensors) and not set(rows) & set(sizes) if tensors else _alike(parts)
    if shared:
        return parts[0]
    raise NotApplicable("a field of the batches has no row per sample, or rows of other shapes")


def _same(tensors: list[Tensor]) -> bool:
    return len(tensors) > 1 and all(torch.equal(tensor, tensors[0]) for tensor in tensors)


def _alike(parts: list[Any]) -> bool:
    """One switch or number for all batches; texts may stand in a list that has one for each sample."""
    return all(isinstance(part, bool | int | float | None) and part == parts[0] for part in parts)
