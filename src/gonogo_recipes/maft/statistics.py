"""What a split holds: lengths, features and targets; values that are no numbers are counted before anything else."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from torch import Tensor

from gonogo.core.measurement import Table
from gonogo_recipes.maft.batch import LABEL, SCORE, STREAMS
from gonogo_recipes.maft.samples import Sample

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_NAMES = ("min", "5 %", "25 %", "median", "75 %", "95 %", "max")


@dataclass(frozen=True, slots=True)
class Features:
    """The columns of one stream over all of its steps; moments and extremes are over the values that are numbers."""

    steps: int
    nan: Float[np.ndarray, " columns"]
    above: Float[np.ndarray, " columns"]  # +inf
    below: Float[np.ndarray, " columns"]  # -inf
    mean: Float[np.ndarray, " columns"]
    deviation: Float[np.ndarray, " columns"]
    low: Float[np.ndarray, " columns"]
    high: Float[np.ndarray, " columns"]

    @property
    def nonfinite(self) -> int:
        """Values that are no numbers."""
        return int((self.nan + self.above + self.below).sum())


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a split holds."""

    lengths: dict[str, list[int]]  # steps of each sample; 0 where the modality is absent
    features: dict[str, Features]  # of the streams that are no ids
    words: dict[int, int]  # how often each token id occurs, where text is ids
    labels: dict[int, int]
    scores: list[float]


@dataclass(slots=True)
class _Sums:
    """Running sums; the second moment is kept about the mean, which large offsets would otherwise drown."""

    steps: int = 0
    counts: np.ndarray = field(default_factory=lambda: np.zeros((3, 1)))
    n: np.ndarray = field(default_factory=lambda: np.zeros(1))
    mean: np.ndarray = field(default_factory=lambda: np.zeros(1))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(1))
    low: np.ndarray = field(default_factory=lambda: np.full(1, np.inf))
    high: np.ndarray = field(default_factory=lambda: np.full(1, -np.inf))

    def add(self, values: Float[np.ndarray, "steps columns"]) -> None:
        """One sample. Source of the update: Chan, Golub, LeVeque 1983."""
        finite = np.isfinite(values)
        kinds = np.stack([np.isnan(values), np.isposinf(values), np.isneginf(values)])
        n = finite.sum(0)
        mean = np.where(finite, values, 0).sum(0) / np.maximum(n, 1)
        squares = (np.where(finite, values - mean, 0) ** 2).sum(0)
        total, gap = self.n + n, mean - self.mean
        self.squares = self.squares + squares + gap**2 * self.n * n / np.maximum(total, 1)
        self.mean = self.mean + gap * n / np.maximum(total, 1)
        self.n, self.steps, self.counts = total, self.steps + len(values), self.counts + kinds.sum(1)
        self.low = np.minimum(self.low, np.where(finite, values, np.inf).min(0, initial=np.inf))
        self.high = np.maximum(self.high, np.where(finite, values, -np.inf).max(0, initial=-np.inf))

    def features(self) -> Features:
        """What the sums say; nan where a column has no number at all."""
        known = self.n > 0
        deviation = np.sqrt(self.squares / np.maximum(self.n, 1))
        rest = [np.where(known, part, np.nan) for part in (self.mean, deviation, self.low, self.high)]
        return Features(self.steps, *self.counts, *rest)


def statistics(samples: Iterable[Sample]) -> Statistics:
    """The statistics of a split, in one pass. Steps that a mask excludes are looked at, too: the nan are there."""
    lengths: dict[str, list[int]] = {stream: [] for stream in STREAMS}
    sums: dict[str, _Sums] = {}
    words: Counter[int] = Counter()
    labels: Counter[int] = Counter()
    scores: list[float] = []
    for sample in samples:
        labels[int(sample[LABEL])] += 1
        scores.append(float(sample[SCORE]))
        for stream in STREAMS:
            content: Tensor = sample[stream]
            lengths[stream].append(len(content))
            if content.dim() == 1:
                words.update(content.tolist())
            else:
                sums.setdefault(stream, _Sums()).add(content.double().numpy())
    features = {stream: found.features() for stream, found in sums.items()}
    return Statistics(lengths, features, dict(sorted(words.items())), dict(sorted(labels.items())), scores)


def of_split(dataset: Sequence[Sample]) -> Statistics:
    """The statistics of a data set read by index."""
    return statistics(dataset[index] for index in range(len(dataset)))


def tables(found: Statistics) -> list[Table]:
    """The statistics as a person reads them: lengths, targets, features, columns with values that are no numbers."""
    rows = [(stream, lengths.count(0), *_quantiles(lengths)) for stream, lengths in found.lengths.items()]
    return [
        Table("Steps per sample", ("stream", "absent", *_NAMES), tuple(rows)),
        Table("Scores", _NAMES, (_quantiles(found.scores),)),
        Table("Classes", ("class", "samples"), tuple(found.labels.items()), kind="bar"),
        Table(
            "Features",
            ("stream", "columns", "steps", "values that are no numbers", "mean", "deviation", "min", "max"),
            tuple(_row(stream, features) for stream, features in found.features.items()),
        ),
        Table("Columns with values that are no numbers", ("stream", "column", "nan", "+inf", "-inf"), _columns(found)),
    ]


def _row(stream: str, features: Features) -> tuple[str | int | float | None, ...]:
    known = ~np.isnan(features.mean)
    if not known.any():
        return stream, len(known), features.steps, features.nonfinite, None, None, None, None
    mean, deviation, low, high = (
        part[known] for part in (features.mean, features.deviation, features.low, features.high)
    )
    spread = float(np.sqrt((deviation**2 + (mean - mean.mean()) ** 2).mean()))
    return (
        stream,
        len(known),
        features.steps,
        features.nonfinite,
        float(mean.mean()),
        spread,
        float(low.min()),
        float(high.max()),
    )


def _columns(found: Statistics) -> tuple[tuple[str, int, int, int, int], ...]:
    return tuple(
        (stream, int(column), int(features.nan[column]), int(features.above[column]), int(features.below[column]))
        for stream, features in found.features.items()
        for column in np.flatnonzero(features.nan + features.above + features.below)
    )


def _quantiles(values: Sequence[float]) -> tuple[float | None, ...]:
    return tuple(map(float, np.quantile(values, QUANTILES))) if len(values) else (None,) * len(QUANTILES)
