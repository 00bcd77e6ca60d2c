"""What a study compares, and what one training run of it gives back."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gonogo.errors import SubjectError, did_you_mean

Fact = str | int | float
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that trials are compared by."""

    name: str
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True)
class Trial:
    """What training one variant with one seed gave.

    A metric that is undefined (the correlation of a constant) is None; nan and infinity become None.

    Args:
        metrics: Metric -> value on the test data.
        views: Condition -> metric -> value, for the same weights under other conditions ("without audio").
        samples: Metric -> its value on each test sample, in the same order for every trial.
        curves: Name -> (x, y) points, such as the training loss by step.
        procedure: What was really done: steps, epochs, optimizer, data. Differences between variants are reported.
        parameters: Trainable parameters.
        seconds: Wall time of the training, as long as 0 that of the whole trial.
        cpu_seconds: The same as time of the processor, which other programs on the machine do not lengthen.
        memory: Bytes that the trial took at its peak beyond what the process held before.
        failure: Why there are no metrics.
    """

    metrics: Mapping[str, float | None] = field(default_factory=dict)
    views: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    samples: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    curves: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    procedure: Mapping[str, Fact] = field(default_factory=dict)
    parameters: int | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory: int | None = None
    failure: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", _finite(self.metrics))
        object.__setattr__(self, "views", {name: _finite(view) for name, view in self.views.items()})


@dataclass(frozen=True, slots=True)
class Study:
    """Variants that are trained with the same seeds, and the one that claims to be ahead of the others.

    Args:
        name: What the reader sees.
        variants: Name -> function of the seed that trains and evaluates; a plain mapping of metrics will do.
        reference: The variant that every other one is compared with.
        metrics: The first one decides, the others are shown.
        seeds: What a variant is called with, once each.
        constant: The variant that answers without looking, if there is one: every condition is held against it.
        notes: Variant -> what a reader must know of it ("is given the time alignment").
        proxy: What the study stands in for, if its data or models are a stand-in.
        identity: Resolved settings by name: a record of others is not continued.
    """

    name: str
    variants: Mapping[str, Callable[[int], Trial | Mapping[str, float]]]
    reference: str
    metrics: tuple[Metric, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    constant: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    proxy: str = ""
    identity: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for role, name in (
            ("reference", self.reference),
            ("constant", self.constant),
            *(("notes", n) for n in self.notes),
        ):
            if name not in self.variants and (name or role == "reference"):
                known = f"The variants are: {', '.join(self.variants) or 'none'}."
                near = did_you_mean(name, self.variants)
                raise SubjectError(f"study {self.name!r}: {role}: there is no variant {name!r}. {known}{near}")
        if not self.metrics:
            raise SubjectError(f"study {self.name!r} has no metric: give metrics=(Metric('accuracy'),)")
        if len(set(self.seeds)) != len(self.seeds) or not self.seeds:
            raise SubjectError(f"study {self.name!r}: seeds {list(self.seeds)}: give at least one, each of them once")

    def with_seeds(self, count: int) -> "Study":
        """The same study with seeds 0 to count - 1."""
        return replace(self, seeds=tuple(range(count)))


def _finite(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {
        name: float(value) if value is not None and math.isfinite(value) else None for name, value in values.items()
    }
