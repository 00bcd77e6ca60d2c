"""Are two ways to compute one thing equal, and if not, by which factors do they differ?

A forgotten division shows as the ratio k, a dropped part as the coefficient 0, a flipped sign as -1. So the answer is
written as a combination of parts whose gradients are known: the coefficients name the cause, a single error does not.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

CONDITION = 1e6  # of the parts' Gram matrix: above it the coefficients mean nothing


@dataclass(frozen=True, slots=True)
class Fit:
    """seen = sum of coefficient * part, up to `residual` (relative to the norm of what was seen)."""

    coefficients: tuple[float, ...]
    residual: float
    condition: float = 1.0

    @property
    def total(self) -> float:
        """The sum of the coefficients: the ratio where all parts are alike."""
        return sum(self.coefficients)

    def explains(self, tolerance: float = 0.05) -> bool:
        """Are the parts all there is, and do they differ enough to tell them apart?"""
        return self.residual <= tolerance and self.condition <= CONDITION


def flat(tensors: Iterable[Tensor | None], like: Sequence[Tensor]) -> Tensor:
    """One float64 vector of the tensors; zeros where one is missing."""
    parts = [
        torch.zeros(reference.numel(), dtype=torch.float64) if tensor is None else _dense(tensor)
        for tensor, reference in zip(tensors, like, strict=True)
    ]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)


def relative_error(seen: Tensor, reference: Tensor) -> float:
    """Norm of the difference over the norm of the reference; 0 if both are zero, inf if only the reference is."""
    gap, scale = float((seen - reference).norm()), float(reference.norm())
    return gap / scale if scale else (0.0 if gap == 0 else math.inf)


def cosine(one: Tensor, two: Tensor) -> float:
    """Cosine of the angle, 0 if one of them is zero."""
    scale = float(one.norm()) * float(two.norm())
    return float(one @ two) / scale if scale else 0.0


def fit(seen: Tensor, parts: Sequence[Tensor]) -> Fit:
    """Least-squares coefficients of the parts in what was seen."""
    norms = [float(part.norm()) for part in parts]
    if not all(math.isfinite(norm) and norm > 0 for norm in norms) or not bool(torch.isfinite(seen).all()):
        return Fit((math.nan,) * len(parts), math.inf, math.inf)
    basis = torch.stack([part / norm for part, norm in zip(parts, norms, strict=True)])
    gram = basis @ basis.T
    condition = float(torch.linalg.cond(gram))
    if condition > CONDITION:
        return Fit((math.nan,) * len(parts), math.inf, condition)
    weights = torch.linalg.solve(gram, basis @ seen)
    residual = relative_error(weights @ basis, seen) if float(seen.norm()) else 0.0
    return Fit(tuple(float(w) / n for w, n in zip(weights, norms, strict=True)), residual, condition)


def noise_floor(compute: Callable[[], Tensor], weights: Sequence[Tensor]) -> float:
    """Relative change of a result when every weight moves by its last bit: what rounding alone can do.

    The weights are put back.
    """
    kept = [weight.detach().clone() for weight in weights]
    before = compute()
    with torch.no_grad():
        for weight in weights:
            weight.copy_(torch.nextafter(weight, torch.full_like(weight, math.inf)))
    try:
        return relative_error(compute(), before)
    finally:
        with torch.no_grad():
            for weight, old in zip(weights, kept, strict=True):
                weight.copy_(old)


def _dense(tensor: Tensor) -> Tensor:
    dense = tensor.detach().to_dense() if tensor.layout is not torch.strided else tensor.detach()
    return dense.reshape(-1).to("cpu", torch.float64)
