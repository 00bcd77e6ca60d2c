"""Limits as data: two nested intervals for one measurement, and where they come from."""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from gonogo.core.measurement import Measurement
from gonogo.errors import ProfileError


class Status(IntEnum):
    """Severity order, so that max() aggregates."""

    PASS = 0
    SKIP = 1
    WARN = 2
    FAIL = 3
    ERROR = 4


# In JSON a status is its name.
StatusName = Annotated[
    Status,
    PlainSerializer(lambda status: status.name, return_type=str),
    BeforeValidator(lambda value: Status[value] if value in Status.__members__ else value),
]


@dataclass(frozen=True, slots=True)
class Interval:
    """Closed interval; None is unbounded."""

    lo: float | None = None
    hi: float | None = None

    def __post_init__(self) -> None:
        if self.lo is not None and self.hi is not None and self.lo > self.hi:
            raise ProfileError(f"the interval [{self.lo:g}, {self.hi:g}] is empty: give the lower limit first")

    def contains(self, low: float, high: float) -> bool:
        """Is all of [low, high] inside?"""
        return (self.lo is None or self.lo <= low) and (self.hi is None or high <= self.hi)

    def misses(self, low: float, high: float) -> bool:
        """Is all of [low, high] outside?"""
        return (self.lo is not None and high < self.lo) or (self.hi is not None and low > self.hi)

    def __str__(self) -> str:
        if self.lo is None and self.hi is None:
            return "anything"
        if self.lo is None:
            return f"at most {self.hi:.4g}"
        return f"at least {self.lo:.4g}" if self.hi is None else f"within {self.lo:.4g} and {self.hi:.4g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One criterion, judged."""

    measure: str
    status: StatusName
    reason: str


@dataclass(frozen=True, slots=True)
class Criterion:
    """Inside `accept` PASS, outside `tolerate` FAIL, otherwise (or across a limit) WARN."""

    measure: str
    accept: Interval
    tolerate: Interval
    source: str

    def __post_init__(self) -> None:
        inner, outer = self.accept, self.tolerate
        lo_ok = outer.lo is None or (inner.lo is not None and inner.lo >= outer.lo)
        hi_ok = outer.hi is None or (inner.hi is not None and inner.hi <= outer.hi)
        if not (lo_ok and hi_ok):
            raise ProfileError(
                f"{self.measure}: the warn limit ({inner}) lies outside the fail limit ({outer}); "
                "make warn the stricter of the two"
            )

    def judge(self, measured: Measurement) -> Verdict:
        """The verdict on one measurement; its whole interval counts."""
        interval = measured.interval
        if interval is None:
            return self._verdict(Status.FAIL, f"is {measured.non_finite}, a finite number was expected")
        shown = quantity(measured)
        if self.accept.contains(*interval):
            return self._verdict(Status.PASS, f"is {shown} ({self.accept})")
        if self.tolerate.misses(*interval):
            return self._verdict(Status.FAIL, f"is {shown}; expected {self.tolerate}")
        if self.accept.misses(*interval) and self.tolerate.contains(*interval):
            return self._verdict(Status.WARN, f"is {shown}; expected {self.accept}")
        more = f" (n = {measured.n})" if measured.n is not None else ""
        return self._verdict(Status.WARN, f"is {shown}: inconclusive against {self.accept}{more}")

    def _verdict(self, status: Status, text: str) -> Verdict:
        return Verdict(self.measure, status, f"{self.measure} {text}")

    def with_limits(self, **limits: Any) -> "Criterion":
        """A copy with other `warn` and `fail` limits (from YAML); the direction stays."""
        unknown = set(limits) - {"warn", "fail"}
        if unknown:
            raise ProfileError(f"unknown limit {sorted(unknown)[0]!r}; a limit takes 'warn' and 'fail'")
        tolerate = self._interval(limits["fail"]) if "fail" in limits else self.tolerate
        # Moving only the outer limit inwards moves the inner one along.
        accept = self._interval(limits["warn"]) if "warn" in limits else _clamp(self.accept, tolerate)
        return replace(self, accept=accept, tolerate=tolerate)

    def _interval(self, limit: Any) -> Interval:
        two_sided = self.accept.lo is not None and self.accept.hi is not None
        if isinstance(limit, list | tuple):
            if not two_sided or len(limit) != 2:
                raise ProfileError(f"{self.measure}: {limit} was given, one number was expected")
            return Interval(*limit)
        if two_sided and limit is not None:
            raise ProfileError(f"{self.measure}: {limit} was given, two numbers [low, high] were expected")
        return Interval(hi=limit) if self.accept.hi is not None else Interval(lo=limit)


def _clamp(inner: Interval, outer: Interval) -> Interval:
    lo = inner.lo if outer.lo is None else max(outer.lo, inner.lo if inner.lo is not None else outer.lo)
    hi = inner.hi if outer.hi is None else min(outer.hi, inner.hi if inner.hi is not None else outer.hi)
    return Interval(lo, hi)


def at_most(measure: str, *, fail: float | None = None, warn: float | None = None, source: str) -> Criterion:
    """Small is good: above `warn` WARN, above `fail` FAIL."""
    return Criterion(measure, Interval(hi=fail if warn is None else warn), Interval(hi=fail), source)


def at_least(measure: str, *, fail: float | None = None, warn: float | None = None, source: str) -> Criterion:
    """Large is good: below `warn` WARN, below `fail` FAIL."""
    return Criterion(measure, Interval(lo=fail if warn is None else warn), Interval(lo=fail), source)


def within(
    measure: str,
    *,
    fail: tuple[float | None, float | None] = (None, None),
    warn: tuple[float | None, float | None] | None = None,
    source: str,
) -> Criterion:
    """Between is good: outside `warn` WARN, outside `fail` FAIL."""
    return Criterion(measure, Interval(*(warn or fail)), Interval(*fail), source)


_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def quantity(measured: Measurement) -> str:
    """The measurement as a person reads it: '3 {sample}' is '3 samples', 2e9 By is '2 GB'."""
    if measured.value is None:
        return measured.non_finite
    text = number(measured.value, measured.unit)
    if measured.low is None and measured.high is None:
        return text
    low, high = measured.interval or (0.0, 0.0)
    return f"{text} [{low:.4g}, {high:.4g}]"


def plural(noun: str) -> str:
    """'losses', 'entries', 'keys'."""
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch")) else f"{noun}s"


def number(value: float, unit: str = "1") -> str:
    """One value with its unit, as a person reads it."""
    if unit == "1":
        return f"{value:.4g}"
    if unit.startswith("{") and unit.endswith("}"):
        noun = unit[1:-1]
        shown = f"{value:,.0f}" if value == int(value) else f"{value:.4g}"
        return f"{shown} {noun if value == 1 else plural(noun)}"
    if unit.startswith("By"):
        for factor, prefix in _PREFIXES:
            if abs(value) >= factor:
                return f"{value / factor:.3g} {prefix}B{unit[2:]}"
        return f"{value:.0f} B{unit[2:]}"
    return f"{value:.4g} {unit.replace('{', '').replace('}', '')}"
