"""Values that are no numbers: COVAREP has -inf where a voice is silent, FACET nan where no face is found.

They are counted as they are in the file and never replaced: `refuse` stops with the counts, `mask` makes their steps
invalid.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from gonogo.errors import SubjectError

_SHOWN = 8
_Steps = Float[np.ndarray, "steps columns"]


@dataclass(frozen=True, slots=True)
class Column:
    """How many values of one column are no numbers."""

    stream: str
    column: int
    nan: int
    above: int  # +inf
    below: int  # -inf

    def __str__(self) -> str:
        counts = {"nan": self.nan, "+inf": self.above, "-inf": self.below}
        return f"{self.stream} column {self.column}: {', '.join(f'{n} {kind}' for kind, n in counts.items() if n)}"


def numbers(values: np.ndarray) -> _Steps:
    """The values as float32; what is too large for it becomes infinite, and so is counted."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)


def valid(values: _Steps) -> Bool[np.ndarray, " steps"]:
    """Which steps are numbers throughout."""
    return np.asarray(np.isfinite(values).all(-1))


def count(stream: str, parts: Iterable[_Steps]) -> tuple[Column, ...]:
    """The columns of a stream that hold values that are no numbers; `parts` are its samples."""
    total: dict[int, np.ndarray] = {}
    for part in parts:
        if np.isfinite(part).all():
            continue
        kinds = np.stack([np.isnan(part).sum(0), np.isposinf(part).sum(0), np.isneginf(part).sum(0)], -1)
        for column in np.flatnonzero(kinds.any(-1)):
            total[int(column)] = total.get(int(column), 0) + kinds[column]
    return tuple(Column(stream, column, *map(int, counts)) for column, counts in sorted(total.items()))


def judge(split: str, found: tuple[Column, ...], policy: str) -> None:
    """Refuses what the policy does not take.

    Raises:
        SubjectError: There are such values and the policy is `refuse`; their columns and counts.
    """
    if found and policy == "refuse":
        more = f"; and {len(found) - _SHOWN} more columns" if len(found) > _SHOWN else ""
        raise SubjectError(
            f"split {split!r} holds values that are no numbers: {'; '.join(_lines(found))}{more}. Nothing is cleaned "
            "silently: clean the file, or set data.nonfinite: mask, which makes those steps invalid"
        )


def _lines(found: tuple[Column, ...]) -> Iterator[str]:
    yield from map(str, found[:_SHOWN])
