"""What a report says of the launch: ready or not, what is in the way, what it takes, and what nobody measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gonogo.core.report import Decision, Report, Result
from gonogo.reports import wording

HOW = "`gonogo size SUBJECT --gpu DEVICE` predicts it, or give Claims(devices=, days=, total_steps=)"
_CLOUD = "Cloud recommendation"
# What a launch takes -> the tables that tell it, by the beginning of their title and of the row.
_QUESTIONS = {
    "memory": (("Answer", "needed"), (_CLOUD, "memory")),
    "device or instance": (("Answer", "device"), (_CLOUD, "instance"), (_CLOUD, "device"), (_CLOUD, "GPU")),
    "time of the full run": (("Time and cost", "hours"), (_CLOUD, "time"), (_CLOUD, "hours")),
    "cost of the full run": (("Time and cost", "money"), (_CLOUD, "cost"), (_CLOUD, "price")),
}
_TELLERS = ("sizing.memory-headroom", "sizing.time-budget", "efficiency.resource-use")


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
    found = {what: next(_told(what, tellers), None) for what in _QUESTIONS}
    needs = tuple(need for need in found.values() if need)
    missing = [what for what, need in found.items() if need is None]
    because = wording.cause(report)
    sentence = wording.VERDICTS[report.verdict].sentence
    return Launch(
        ready=report.verdict is Decision.GO,
        answer=f"{wording.sentence(sentence)}{f': {because}' if because else ''}.",
        blockers=report.reasons,
        needs=needs,
        unknown=tuple((what, _why(report, tellers)) for what in missing),
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


def _told(what: str, tellers: list[Result]) -> Iterator[Need]:
    for title, label in _QUESTIONS[what]:
        for result in tellers:
            for table in result.observation.tables if result.observation else ():
                for row in table.rows if table.title.startswith(title) else ():
                    if len(row) > 1 and str(row[0]).lower().startswith(label.lower()):
                        yield Need(what, wording.cell(row[1]), result.id, result.evidence.value)


def _why(report: Report, tellers: list[Result]) -> str:
    """What the checks that could have told it say of themselves."""
    if tellers:
        return f"not measured by {', '.join(result.id for result in tellers)}; {HOW}"
    silent = [result for result in report.results if result.id in _TELLERS]
    reasons = dict.fromkeys(result.reason for result in silent)
    return f"not measured ({'; '.join(reasons)})" if reasons else f"not measured; {HOW}"
