"""The metrics of CMU-MOSI and CMU-MOSEI, each under the id of its definition.

Papers print the same names for different numbers: whether a score of 0 counts, how .5 is rounded, which argument of the
F1 was the truth. A number without its definition cannot be compared, so it is never given without one.

Sources: MMSA `utils/metricsTop.py` (has0, non0, acc5, acc7; F1 after its issue #17), MulT `eval_metrics.py` (mult),
CMU Multimodal SDK `cmumosei_round` (half away from zero).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from gonogo.errors import SubjectError

Scores = Float[np.ndarray, " n"]
Classes = Int[np.ndarray, " n"]
_Given = Tensor | np.ndarray | list[float] | list[int]


@dataclass(frozen=True, slots=True)
class Metric:
    """One number with the id of its definition; where it is undefined, `value` is None and `why` says so."""

    id: str
    value: float | None
    n: int  # samples that count
    why: str = ""


def of_scores(predicted: _Given, true: _Given) -> dict[str, Metric]:
    """Every metric of sentiment scores, by id.

    Args:
        predicted: [n] or [n, 1], any real number.
        true: Likewise, in [-3, 3].

    Raises:
        SubjectError: The two have different lengths, or the truth is not finite.
    """
    answer, truth = _paired(predicted, true)
    bad = int((~np.isfinite(answer)).sum())
    if bad or not truth.size:
        why = f"{bad} of {answer.size} predictions are not finite" if bad else "there are no samples"
        return {name: Metric(name, None, 0, why) for name in SCORE_METRICS}
    return {name: measure(name, answer, truth) for name, measure in SCORE_METRICS.items()}


def of_classes(predicted: _Given, true: _Given) -> dict[str, Metric]:
    """Accuracy and weighted F1 of predicted classes, by id.

    Raises:
        SubjectError: The two have different lengths.
    """
    answer, truth = _paired(predicted, true)
    return {name: measure(name, answer, truth) for name, measure in CLASS_METRICS.items()}


def _paired(predicted: _Given, true: _Given) -> tuple[Scores, Scores]:
    answer, truth = (_flat(given) for given in (predicted, true))
    if answer.shape != truth.shape:
        raise SubjectError(f"metrics: {answer.size} predictions for {truth.size} true values; give one for each")
    if not np.isfinite(truth).all():
        raise SubjectError("metrics: true values are not finite; leave those samples out, and say so")
    return answer, truth


def _flat(given: _Given) -> Scores:
    values = given.detach().cpu().numpy() if isinstance(given, Tensor) else given
    return np.asarray(values, dtype=np.float64).reshape(-1)


def accuracy(predicted: Any, true: Any) -> float:
    """The share of equal classes."""
    return float((predicted == true).mean())


def weighted_f1(predicted: Any, true: Any) -> float:
    """F1 of each class weighted by how often it is *true*; a class that is neither predicted nor true has none.

    Exchanging the arguments changes the weights: published tables were re-run for it (MMSA issue #17).
    """
    total = 0.0
    for name in np.unique(true):
        both = ((predicted == name) & (true == name)).sum()
        total += (true == name).sum() * 2 * both / ((predicted == name).sum() + (true == name).sum())
    return float(total / len(true))


def half_to_even(scores: Scores, bound: float) -> Classes:
    """Clipped to [-bound, bound] and rounded, 0.5 and 2.5 down and 1.5 up, as NumPy does."""
    return np.round(np.clip(scores, -bound, bound)).astype(np.int64)


def half_away(scores: Scores, bound: float) -> Classes:
    """Clipped to [-bound, bound] and rounded, halves away from zero."""
    clipped = np.clip(scores, -bound, bound)
    return (np.sign(clipped) * np.floor(np.abs(clipped) + 0.5)).astype(np.int64)


_Measure = Callable[[str, Scores, Scores], Metric]


def _of_signs(of: Callable[[Any, Any], float], *, zero_is_positive: bool, drop_zeros: bool = False) -> _Measure:
    def measure(name: str, predicted: Scores, true: Scores) -> Metric:
        kept = true != 0 if drop_zeros else np.ones_like(true, dtype=bool)
        if not kept.any():
            return Metric(name, None, 0, "every true score is 0")
        answer, truth = ((part >= 0 if zero_is_positive else part > 0) for part in (predicted[kept], true[kept]))
        return Metric(name, of(answer, truth), int(kept.sum()))

    return measure


def _of_rounded(rounded: Callable[[Scores, float], Classes], bound: float) -> _Measure:
    def measure(name: str, predicted: Scores, true: Scores) -> Metric:
        return Metric(name, accuracy(rounded(predicted, bound), rounded(true, bound)), true.size)

    return measure


def _of_classes(of: Callable[[Any, Any], float]) -> _Measure:
    def measure(name: str, predicted: Scores, true: Scores) -> Metric:
        return Metric(name, of(predicted, true), true.size) if true.size else Metric(name, None, 0, "no samples")

    return measure


def _mae(name: str, predicted: Scores, true: Scores) -> Metric:
    return Metric(name, float(np.abs(predicted - true).mean()), true.size)


def _pearson(name: str, predicted: Scores, true: Scores) -> Metric:
    """The correlation; undefined, which is not 0, where one side does not vary."""
    for side, values in (("predictions", predicted), ("true scores", true)):
        if np.ptp(values) <= 1e-12 * max(1.0, float(np.abs(values).max())):
            return Metric(name, None, true.size, f"all {side} are {values[0]:.6g}: a correlation needs two values")
    return Metric(name, float(np.clip(np.corrcoef(predicted, true)[0, 1], -1.0, 1.0)), true.size)


SCORE_METRICS: dict[str, _Measure] = {
    "acc2-has0": _of_signs(accuracy, zero_is_positive=True),
    "acc2-non0": _of_signs(accuracy, zero_is_positive=False, drop_zeros=True),
    "acc2-mult": _of_signs(accuracy, zero_is_positive=False),
    "f1-weighted-has0": _of_signs(weighted_f1, zero_is_positive=True),
    "f1-weighted-non0": _of_signs(weighted_f1, zero_is_positive=False, drop_zeros=True),
    "acc7-half-to-even": _of_rounded(half_to_even, 3),
    "acc7-half-away": _of_rounded(half_away, 3),
    "acc5-half-to-even": _of_rounded(half_to_even, 2),
    "mae": _mae,
    "pearson": _pearson,
}
CLASS_METRICS: dict[str, _Measure] = {"accuracy": _of_classes(accuracy), "f1-weighted": _of_classes(weighted_f1)}
