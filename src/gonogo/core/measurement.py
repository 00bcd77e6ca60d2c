"""Numbers with units, and the tables that show where they come from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

MAX_ROWS = 50  # of a table: evidence for a person, not a data dump
MAX_POINTS = 500  # of a line: what a picture can show

Cell = str | int | float | None
Kind = Literal["table", "line", "bar", "heatmap"]


class Evidence(StrEnum):
    """How near to the real run a result was obtained, weakest first."""

    DECLARED = "declared"
    READ = "read"
    PROXY = "proxy"
    SCALED = "scaled"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number with its unit (UCUM), interval and number of observations.

    JSON has no nan: a value or bound that is not finite leaves `value` empty and is named in `non_finite`.
    """

    value: float | None
    unit: str = "1"
    low: float | None = None
    high: float | None = None
    n: int | None = None
    non_finite: str = ""

    def __post_init__(self) -> None:
        for name in ("value", "low", "high", "n"):
            if item := getattr(getattr(self, name), "item", None):  # a scalar of NumPy or torch: JSON knows neither
                object.__setattr__(self, name, item())
        numbers = (self.value, self.low, self.high)
        bad = [number for number in numbers if number is not None and not math.isfinite(number)]
        if bad:
            for name, new in (("value", None), ("low", None), ("high", None), ("non_finite", str(float(bad[0])))):
                object.__setattr__(self, name, new)

    @property
    def interval(self) -> tuple[float, float] | None:
        """(low, high), the value itself where no interval is known, None if the value is not finite."""
        if self.value is None:
            return None
        low = self.value if self.low is None else self.low
        high = self.value if self.high is None else self.high
        return low, high


@dataclass(frozen=True, slots=True)
class Table:
    """Evidence a person can act on. `total` counts the rows before they were cut to what a page can show."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    kind: Kind = "table"
    total: int = 0

    def __post_init__(self) -> None:
        total = self.total or len(self.rows)
        object.__setattr__(self, "total", total)
        object.__setattr__(self, "rows", tuple(tuple(_cell(cell) for cell in row) for row in self._shown()))

    def _shown(self) -> list[tuple[Cell, ...]]:
        rows, limit = list(self.rows), MAX_POINTS if self.kind == "line" else MAX_ROWS
        if len(rows) <= limit:
            return rows
        if self.kind != "line":
            return rows[:limit]
        # Every k-th point, and always the last: the end of a curve is what people look at.
        stride = math.ceil(len(rows) / (limit - 1))
        return [*rows[:-1:stride], rows[-1]]


@dataclass(frozen=True, slots=True)
class Observation:
    """All that a check returns. `evidence` is set only where the check knows better than the runner."""

    measurements: Mapping[str, Measurement]
    tables: tuple[Table, ...] = field(default=())
    evidence: Evidence | None = None


def _cell(value: Any) -> Cell:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | int | float):
        return value
    return _cell(value.item()) if hasattr(value, "item") else str(value)
