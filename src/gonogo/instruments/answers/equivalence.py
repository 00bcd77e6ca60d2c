"""Are two ways to compute one thing equal, and if not, by which factors do they differ?

A forgotten division shows as the ratio k, a dropped part as the coefficient 0, a flipped sign as -1. So the answer is
written as a combination of parts whose gradients are known: the coefficients name the cause, a single error does not.
How much of a difference means nothing is measured, too: every weight is moved by its last bit (`noise_floor`), or the
same thing is computed twice.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gonogo.core.measurement import Measurement, Table

SPREAD = 5.0  # noise floors: what one perturbation shows is a sample of what rounding can do
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


@dataclass(frozen=True, slots=True)
class Comparison:
    """One thing computed in two ways: what was seen, relative to what was wanted.

    Attributes:
        error: Norm of the difference over the norm of what was wanted.
        noise: The same for two results that differ by rounding or chance alone.
        ratio: The factor that what was wanted has in what was seen.
        direction: Cosine of the angle between the two.
    """

    error: float
    noise: float
    ratio: float
    direction: float

    def measured(self, limit: float) -> Measurement:
        """The error, less what noise explains; with a floor above the limit, an interval that decides nothing."""
        if not self.noise <= limit:
            finite = [value for value in (self.error, self.noise, 2 * limit) if math.isfinite(value)]
            return Measurement(min(self.error, max(finite)), low=0.0, high=max(finite))
        if SPREAD * self.noise < 1e-2 * self.error or not math.isfinite(self.error):
            return Measurement(self.error)
        return Measurement(self.error, low=max(0.0, self.error - SPREAD * self.noise), high=self.error)

    def cause(self, factors: Mapping[str, float]) -> str:
        """What the ratio says: the name of the factor that it is, if the directions agree."""
        if self.direction < 1 - 1e-3:
            return "the directions differ: not the same terms, or not with the same weights"
        near = (name for name, factor in factors.items() if abs(self.ratio / factor - 1) < 0.02)
        return next(near, "a factor that nothing explains")

    def table(self, title: str, factors: Mapping[str, float]) -> Table:
        """Error, noise floor and ratio, and what the ratio says."""
        rows = (("relative error", self.error), ("noise floor", self.noise), ("ratio", self.ratio))
        return Table(title, ("of the two", "is"), (*rows, ("the ratio is", self.cause({"1": 1.0, **factors}))))


def compare(seen: Tensor, wanted: Tensor, *, noise: float = 0.0) -> Comparison:
    """Two results, flat, against the noise that was measured for them."""
    squared = float(wanted @ wanted)
    ratio = float(seen @ wanted) / squared if squared else (1.0 if not seen.any() else math.inf)
    return Comparison(relative_error(seen, wanted), noise, ratio, cosine(seen, wanted) if squared else 1.0)


def sure_ratio(ratio: float, factors: Iterable[float], n: int | None = None) -> Measurement:
    """A ratio that is sure where it is 1 or one of the factors that a mistake leaves; others may be meant."""
    if any(abs(ratio / factor - 1) < 0.02 for factor in (1.0, *factors)):
        return Measurement(ratio, n=n)
    return Measurement(ratio, low=min(ratio, 1.0), high=max(ratio, 1.0), n=n)


def largest_change(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> float:
    """Largest difference of two sets of outputs over the largest value; inf where their structure differs."""
    if one.keys() != two.keys() or any(one[path].shape != two[path].shape for path in one):
        return math.inf
    filled = [path for path in one if one[path].numel()]
    gap = max((float((one[path] - two[path]).abs().nan_to_num().max()) for path in filled), default=0.0)
    scale = max((float(one[path].abs().nan_to_num(posinf=0.0).max()) for path in filled), default=1.0)
    return gap / (scale or 1.0)


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
