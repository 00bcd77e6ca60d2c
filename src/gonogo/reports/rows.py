"""What was measured against which limit, as rows that every format can show."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gonogo.core.criterion import Criterion, Status, number, quantity
from gonogo.core.measurement import Cell, Measurement
from gonogo.core.plan import CATEGORIES, Skip
from gonogo.core.report import Report, Result
from gonogo.reports import wording

_SENTENCE = 5  # words


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement of a check. Without a criterion it is reported but judges nothing."""

    name: str
    measurement: Measurement
    criterion: Criterion | None = None
    status: Status | None = None
    default: Criterion | None = None

    @property
    def measured(self) -> str:
        """The number with unit and interval."""
        shown = quantity(self.measurement)
        return shown if self.measurement.n is None else f"{shown} (n = {self.measurement.n})"

    @property
    def value(self) -> str:
        """The number with its unit alone."""
        value, unit = self.measurement.value, self.measurement.unit
        return self.measurement.non_finite if value is None else number(value, unit)

    @property
    def spread(self) -> str:
        """'0.03 to 0.05, n = 60': how sure the number is, as far as known."""
        low, high, n = self.measurement.low, self.measurement.high, self.measurement.n
        known = low is not None or high is not None
        ends = self.measurement.interval if known else None
        parts = [f"{number(ends[0])} to {number(ends[1])}" if ends else "", f"n = {n}" if n is not None else ""]
        return ", ".join(part for part in parts if part)

    @property
    def limit(self) -> str:
        """What was expected, with unit."""
        return wording.limit(self.criterion, self.measurement.unit) if self.criterion else "not judged"

    @property
    def source(self) -> str:
        """Where the limit comes from; a profile that moved it is named before the paper that gave the first one."""
        if self.criterion is None:
            return ""
        if self.default in (None, self.criterion):
            return self.criterion.source
        declared = wording.limit(self.default, self.measurement.unit) if self.default else ""
        return f"set by the profile; the check declares {declared} ({self.criterion.source})"


def rows(result: Result) -> tuple[Row, ...]:
    """Judged measurements, worst first, then those that are only reported."""
    if result.observation is None:
        return ()
    criteria = {criterion.measure: criterion for criterion in result.criteria}
    defaults = {criterion.measure: criterion for criterion in result.defaults}
    verdicts = {verdict.measure: verdict.status for verdict in result.verdicts}
    found = [
        Row(name, measurement, criteria.get(name), verdicts.get(name), defaults.get(name))
        for name, measurement in result.observation.measurements.items()
    ]
    return tuple(sorted(found, key=lambda row: -1 if row.status is None else row.status, reverse=True))


def judged(result: Result) -> tuple[Row, ...]:
    """Only the measurements that decide."""
    return tuple(row for row in rows(result) if row.status is not None)


def warnings(report: Report) -> tuple[Result, ...]:
    """The results to look at although they do not close the gate."""
    found = (result for result in report.results if result.status is Status.WARN and not result.waived)
    return tuple(result for result in found if not result.cause)


def follows(report: Report, result: Result) -> str:
    """'model.a, model.b': the findings that are consequences of this one; empty if there are none."""
    return ", ".join(other.id for other in report.consequences(result))


def waived(report: Report) -> tuple[Result, ...]:
    """The results whose failure is accepted, for now."""
    return tuple(result for result in report.results if wording.state(result) is wording.State.WAIVED)


def not_run(report: Report) -> dict[str, tuple[Result, ...]]:
    """What did not run, by the words for why; what closes the gate stands in every group's front."""
    kinds = {wording.CRASHED: lambda r: r.status is Status.ERROR}
    kinds |= {wording.SKIP_WORDS[skip]: lambda r, skip=skip: r.skip is skip for skip in Skip}
    ordered = sorted(report.results, key=lambda result: not result.closes_gate)
    groups = {words: tuple(result for result in ordered if belongs(result)) for words, belongs in kinds.items()}
    return {words: members for words, members in groups.items() if members}


def by_reason(results: tuple[Result, ...]) -> dict[str, tuple[tuple[Result, str], ...]]:
    """Results by the reason they share, each with what it adds: what holds for twenty checks is said once."""
    shared = Counter(_lead(result.reason) for result in results)
    groups: dict[str, list[tuple[Result, str]]] = {}
    for result in results:
        lead = _lead(result.reason)
        reason = lead if shared[lead] > 1 else result.reason
        groups.setdefault(reason, []).append((result, result.reason[len(reason) :].removeprefix(": ")))
    return {reason: tuple(members) for reason, members in groups.items()}


def _lead(reason: str) -> str:
    """The sentence before a colon, all of the reason if that is but a name: 'ValueError' is no reason to share."""
    lead = reason.partition(": ")[0]
    return lead if len(lead.split()) >= _SENTENCE else reason


def by_category(report: Report) -> dict[str, tuple[Result, ...]]:
    """All results, causes before consequences; a plug-in's categories keep its prefix apart from the built-in ones."""
    names = {result.id.rsplit(".", 1)[0]: result.category for result in report.results}
    known = {name: place for place, name in enumerate(CATEGORIES)}
    ordered = sorted(names, key=lambda name: ("/" in name, known.get(names[name], len(known)), name))
    return {name: tuple(r for r in report.results if r.id.rsplit(".", 1)[0] == name) for name in ordered}


def asked_for(report: Report) -> dict[str, tuple[Result, ...]]:
    """Results by category, without categories of which nothing was selected: they are named where skips are."""
    found = by_category(report)
    some = {name: results for name, results in found.items() if any(r.skip is not Skip.DESELECTED for r in results)}
    return some or found


def deselected(report: Report, results: tuple[Result, ...]) -> tuple[str, ...]:
    """What was not selected, by id; a category of which nothing was is one name: 'watch (20)'."""
    whole = {name: rs for name, rs in by_category(report).items() if name not in asked_for(report)}
    single = [r.id for r in results if r.closes_gate or not any(r in members for members in whole.values())]
    return (*single, *(f"{name} ({len(members)})" for name, members in whole.items()))


def examples(result: Result, most: int = 2) -> tuple[str, ...]:
    """The first rows of the first table that has some, a line each: where to look, before any report is opened."""
    tables = result.observation.tables if result.observation else ()
    for table in tables:
        if table.kind == "table" and table.rows:
            lines = [_example(table.columns, row) for row in table.rows[:most]]
            more = table.total - len(lines)
            return (*lines, f"and {more} more in the report") if more > 0 else tuple(lines)
    return ()


def _example(columns: tuple[str, ...], row: tuple[Cell, ...]) -> str:
    """'norm1.weight: 0.02' of two columns, 'name norm1.weight, norm 0.02, ...' of more: what is empty is left out."""
    cells = [number(cell) if isinstance(cell, float) else str(cell) for cell in row]
    if len(cells) == 2:
        return textwrap.shorten(": ".join(cells), 200)
    pairs = zip(columns, cells, strict=True)
    return textwrap.shorten(", ".join(f"{name} {cell}" for name, cell in pairs if cell not in ("", "None")), 200)


def flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings as (dotted.key, text) pairs; what is empty says nothing and is left out."""
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        elif value not in (None, "", [], ()):
            text = ", ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value)
            yield f"{prefix}{name}", wording.shorten(text, 600)
