"""Operators whose result is as large as the values say: the largest that it can be.

A mask may keep everything, and all values may differ. A size that follows from this is an upper bound, and is said to
be one.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DynamicOutputShapeException

_aten = torch.ops.aten


def largest(operator: Any, args: Any, kwargs: Any) -> Any:
    """The result of an operator at its largest, without values.

    Raises:
        DynamicOutputShapeException: No bound is known for this operator.
    """
    bound = _BOUNDS.get(operator)
    if bound is None:
        raise DynamicOutputShapeException(operator)
    return bound(*args, **kwargs)


def _nonzero(values: Tensor) -> Tensor:
    return values.new_empty((values.numel(), values.dim()), dtype=torch.int64)


def _masked_select(values: Tensor, mask: Tensor) -> Tensor:
    return values.new_empty(torch.broadcast_shapes(values.shape, mask.shape)).flatten()


def _unique(values: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False) -> Any:
    most, whole = values.numel(), torch.int64
    inverse = values.new_empty(values.shape if return_inverse else (0,), dtype=whole)
    return values.new_empty(most), inverse, values.new_empty(most if return_counts else 0, dtype=whole)


def _index(values: Tensor, indices: list[Tensor | None]) -> Tensor:
    return _aten.index.Tensor(values, _spelled_out(indices))


def _index_put(values: Tensor, indices: list[Tensor | None], new: Tensor, accumulate: bool = False) -> Tensor:
    return _aten.index_put.default(values, _spelled_out(indices), new, accumulate)


def _index_put_(values: Tensor, indices: list[Tensor | None], new: Tensor, accumulate: bool = False) -> Tensor:
    return _aten.index_put_.default(values, _spelled_out(indices), new, accumulate)


def _spelled_out(indices: list[Tensor | None]) -> list[Tensor | None]:
    """Masks as the positions that they would keep if they kept everything."""
    found: list[Tensor | None] = []
    for index in indices:
        if index is not None and index.dtype in (torch.bool, torch.uint8):
            found += [index.new_empty(index.numel(), dtype=torch.int64) for _ in range(index.dim())]
        else:
            found.append(index)
    return found


_BOUNDS: dict[Any, Callable[..., Any]] = {
    _aten.nonzero.default: _nonzero,
    _aten.masked_select.default: _masked_select,
    _aten._unique2.default: _unique,
    _aten.index.Tensor: _index,
    _aten.index_put.default: _index_put,
    _aten.index_put_.default: _index_put_,
}
