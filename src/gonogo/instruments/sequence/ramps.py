"""Angles of positions that were counted in low precision: a ramp that is even, but for its rounding.

Legend of shapes: t positions, f frequencies.
"""

import torch
from torch import Tensor

_EVEN = 100  # positions that even eight bits tell apart
_STEP = 0.5  # radians from one position to the next
_BITS = 2.0**-7  # relative error of a product of two numbers of eight bits


def rounded_neighbours(angles: Tensor) -> int:
    """How many positions have all angles of the one before, bit for bit, in a table [.., t, f] or [.., f, t].

    Zero unless the fastest column rises evenly over the whole length, as positions do, in numbers that bfloat16 or
    float16 can hold. Positions that repeat on purpose (grids, pictures in a text, padding) do not rise evenly.
    """
    if angles.dim() == 0 or not angles.numel() or angles.is_meta or angles.layout is not torch.strided:
        return 0
    table = angles.detach()
    if table.dim() == 1:
        return _equal(table.unsqueeze(1))
    table = table.reshape(-1, *table.shape[-2:])[0]
    return max(_equal(table), _equal(table.T))


def _equal(table: Tensor) -> int:
    if len(table) <= _EVEN or not bool(torch.isfinite(table).all()):
        return 0
    column = table[:, int((table[1] - table[0]).abs().argmax())]
    if not any(torch.equal(column.to(low).to(column.dtype), column) for low in (torch.bfloat16, torch.float16)):
        return 0
    column = column.double()
    if abs(float(column[_EVEN] - column[0])) < _STEP * _EVEN:  # slow waves have little to lose
        return 0
    places = torch.arange(len(column), dtype=torch.float64, device=column.device)
    even = column[0] + places * (column[_EVEN] - column[0]) / _EVEN
    if bool(((column - even).abs() > 2 * _BITS * even.abs()).any()):
        return 0
    return int((table[1:] == table[:-1]).all(1).sum())
