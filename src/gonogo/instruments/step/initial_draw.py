"""Weights that look as drawn: for models that cannot be built under another seed, to see what changes."""

import math

import torch
from torch import Tensor

_FEWEST = 256  # numbers
_SURE = 4.0  # standard errors
DEFAULT_SPREAD = 0.02  # of most transformers: GPT-2, BERT, `initializer_range`


def untouched(weight: Tensor, spread: float = DEFAULT_SPREAD) -> bool:
    """Does a weight (out, in, ...) look as a default initialisation leaves it?

    Training by a thousandth moves some of so many numbers past the bound of a uniform draw (torch's own, Xavier's); of
    a normal draw deviation and fourth moment are compared with those of `spread`.
    """
    if weight.numel() < _FEWEST or weight.dim() < 2:
        return False
    values = weight.detach().double().flatten()
    return any(_fills(values, bound) for bound in _bounds(weight)) or _is_normal(values, spread)


def _bounds(weight: Tensor) -> tuple[float, float]:
    inputs = weight[0].numel()
    outputs = len(weight) * weight[0, 0].numel()
    return 1 / math.sqrt(inputs), math.sqrt(6 / (inputs + outputs))


def _fills(values: Tensor, bound: float) -> bool:
    """Is it uniform on +-bound? The largest of n lies within 20 / n of the end but for once in e^20."""
    largest, count = float(values.abs().max()), len(values)
    even = abs(float(values.square().mean()) / (bound**2 / 3) - 1) < _SURE * math.sqrt(0.8 / count)
    return bound * (1 - 20 / count) < largest <= bound * (1 + 1e-6) and even


def _is_normal(values: Tensor, spread: float) -> bool:
    count, scaled = len(values), values / spread
    moments = torch.stack([scaled.mean(), scaled.square().mean() - 1, scaled.pow(4).mean() - 3])
    errors = torch.tensor([1.0, 2.0, 96.0], dtype=torch.float64).div(count).sqrt()
    return bool((moments.abs() < _SURE * errors).all())
