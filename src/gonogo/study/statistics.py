"""Intervals over seeds and over test samples, without a statistics library."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

LEVEL = 0.95
_MOST = 1000  # seeds that anyone would train
_RESAMPLES = 2000
_CHUNK = 100  # resamples at a time: a few MB for thousands of samples


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval; the interval is None where one value alone was seen."""

    mean: float
    low: float | None
    high: float | None
    n: int
    spread: float = 0.0  # standard deviation of one value

    @property
    def sign(self) -> int:
        """1 or -1 where the whole interval is on that side of 0, else 0."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)


@cache
def t_quantile(probability: float, df: int) -> float:
    """The quantile of Student's t for `df` degrees of freedom and a probability of at least 0.5.

    Source: Abramowitz and Stegun, 26.7.3 and 26.7.4: a finite sum for whole degrees of freedom, inverted by bisection.
    """
    low, high = 0.0, 1.0
    while _cdf(high, df) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _cdf(middle, df) < probability else (low, middle)
    return (low + high) / 2


def _cdf(t: float, df: int) -> float:
    angle = math.atan(t / math.sqrt(df))
    cosine = math.cos(angle) ** 2
    odd = df % 2
    # Odd: theta + sin cos (1 + 2/3 cos^2 + ...); even: sin (1 + 1/2 cos^2 + ...).
    term = math.sin(angle) * (math.cos(angle) if odd else 1.0)
    total = 0.0
    for k in range(2 + odd, df + 1, 2):
        total += term
        term *= cosine * (k - 1) / k
    inside = (angle + total) * 2 / math.pi if odd else total
    return 0.5 + inside / 2


def mean(values: Sequence[float]) -> Estimate:
    """The mean of independent values and its t interval."""
    n, centre = len(values), math.fsum(values) / len(values)
    if n < 2:
        return Estimate(centre, None, None, n)
    spread = math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (n - 1))
    reach = t_quantile((1 + LEVEL) / 2, n - 1) * spread / math.sqrt(n)
    return Estimate(centre, centre - reach, centre + reach, n, spread)


def seeds_needed(difference: Estimate) -> int | None:
    """How many seeds would put 0 outside the interval, were mean and spread to stay; None if no number would do."""
    size = abs(difference.mean)
    if difference.low is None or not size:
        return None
    for n in range(2, _MOST + 1):
        if t_quantile((1 + LEVEL) / 2, n - 1) * difference.spread / math.sqrt(n) < size:
            return n
    return None


def over_samples(differences: Sequence[float], seed: int = 0) -> Estimate:
    """The mean of paired differences of test samples with its percentile bootstrap interval.

    Source: B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    values = np.asarray(differences, dtype=np.float64)
    n = len(values)
    draw = np.random.default_rng(seed)
    chunks = [values[draw.integers(0, n, (_CHUNK, n))].mean(axis=1) for _ in range(_RESAMPLES // _CHUNK)]
    low, high = np.quantile(np.concatenate(chunks), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(values.mean()), float(low), float(high), n, float(values.std(ddof=min(1, n - 1))))
