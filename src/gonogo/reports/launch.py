"""What a report says of the launch: ready or not, what is in the way, what it takes, and what nobody measured."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from gonogo.core.measurement import Table
from gonogo.core.report import Decision, Report, Result
from gonogo.reports import wording

HOW = "`gonogo size SUBJECT --gpu DEVICE` predicts it, or give Claims(devices=, days=, total_steps=)"
_FIT, _TIME, _RENT, _SEEN = "Answer", "Time and cost", "What to rent", "Seen here"  # how the titles of the tables begin
# What a launch takes -> the rows that tell it, the first table that has any: a prediction before what was seen here.
_QUESTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "memory": {_FIT: ("needed",), _RENT: ("memory",), _SEEN: ("peak",)},
    "device or instance": {_FIT: ("device", "devices"), _RENT: ("host", "GPU")},
    "time of the full run": {_TIME: ("hours",), _RENT: ("whole run",)},
    "cost of the full run": {_TIME: ("money",), _RENT: ("cost of the whole run",)},
}
# The same, of what is told where it is known and not missed where it is not.
_BESIDES: dict[str, dict[str, tuple[str, ...]]] = {
    "time of a step, here": {_SEEN: ("step",)},
    "time of an epoch, here": {_SEEN: ("epoch",)},
}
_WATCH = "watch.resources"
_TELLERS = (_WATCH, "sizing.memory-headroom", "sizing.time-budget", "efficiency.resource-use")


@dataclass(frozen=True, slots=True)
class Need:
    """Something that the launch takes, and the check that measured it."""

    what: str
    value: str
    source: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Launch:
    """The recommendation. `unknown` is (what, why): nothing is guessed."""

    ready: bool
    answer: str
    blockers: tuple[Result, ...]
    needs: tuple[Need, ...]
    unknown: tuple[tuple[str, str], ...]


def launch(report: Report) -> Launch:
    """The recommendation that follows from a report; it adds no judgement of its own."""
    tellers = [result for result in report.results if result.id in _TELLERS and result.observation]
    asked = _QUESTIONS | _BESIDES
    found = {what: next(_told(what, titles, tellers), None) for what, titles in asked.items()}
    needs = tuple(need for need in found.values() if need)
    unknown = [(what, _why(report, tellers)) for what in _QUESTIONS if found[what] is None]
    if needs and report.proxy:  # what the stand-in takes says nothing of the run that is to be paid for
        needs = tuple(replace(need, what=f"{need.what}, of the proxy") for need in needs)
        unknown.append(("the full-size run", f"only its proxy was measured: {report.proxy}"))
    because = wording.cause(report)
    return Launch(
        ready=report.verdict is Decision.GO,
        answer=f"{wording.sentence(wording.answer(report))}{f': {because}' if because else ''}.",
        blockers=report.reasons,
        needs=needs,
        unknown=tuple(unknown),
    )


def plain(found: Launch) -> dict[str, Any]:
    """The recommendation as JSON types."""
    return {
        "ready": found.ready,
        "answer": found.answer,
        "blockers": [{"id": one.id, "title": wording.title(one), "reason": one.reason} for one in found.blockers],
        "needs": [
            {"what": one.what, "value": one.value, "source": one.source, "evidence": one.evidence}
            for one in found.needs
        ],
        "unknown": [{"what": what, "why": why} for what, why in found.unknown],
    }


def unknown_together(found: Launch) -> Iterator[str]:
    """'memory, device: why', what is unknown for the same reason in one line."""
    for why in dict.fromkeys(why for _, why in found.unknown):
        yield f"{', '.join(what for what, other in found.unknown if other == why)}: {why}"


def _told(what: str, titles: dict[str, tuple[str, ...]], tellers: list[Result]) -> Iterator[Need]:
    for title, labels in titles.items():
        for result in tellers:
            rows = [
                row for table in _tables(result) if table.title.startswith(title) for row in table.rows if len(row) > 1
            ]
            # "hours", and "money, USD": a label ends where the row does, or at a comma.
            told = {str(name).partition(",")[0]: wording.cell(value) for name, value, *_ in rows}
            known = [label for label in labels if label in told and not told[label].startswith("unknown")]
            if known:
                alone = len(known) == 1
                value = "; ".join(told[label] if alone else f"{label} {told[label]}" for label in known)
                yield Need(what, value, result.id, result.evidence.value)


def _tables(result: Result) -> tuple[Table, ...]:
    return result.observation.tables if result.observation else ()


def _why(report: Report, tellers: list[Result]) -> str:
    """What the checks that could have told it say of themselves."""
    if [result.id for result in tellers] == [_WATCH]:  # there is no Subject and no Claims yet
        return "its first steps do not tell; describe the run, and `gonogo size SUBJECT --gpu DEVICE` predicts it"
    if tellers:
        return f"not measured by {', '.join(result.id for result in tellers)}; {HOW}"
    silent = [result for result in report.results if result.id in _TELLERS]
    reasons = dict.fromkeys(result.reason for result in silent)
    return f"not measured ({'; '.join(reasons)})" if reasons else f"not measured; {HOW}"
