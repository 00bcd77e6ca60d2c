"""The words, shapes and number formats that all report formats share."""

import math
import re
from dataclasses import dataclass, replace
from enum import Enum

from gonogo.core.criterion import Criterion, Interval, Status, number
from gonogo.core.measurement import Evidence
from gonogo.core.plan import Skip
from gonogo.core.report import Decision, Report, Result


@dataclass(frozen=True, slots=True)
class Look:
    """How one state is shown. Colour is never alone: word and shape differ too."""

    word: str
    shape: str
    ascii: str  # the shape for consoles that cannot encode it
    style: str  # of rich
    plural: str


class State(Enum):
    """What a reader sees of a result: its status, or that it is waived."""

    PASS = Look("PASS", "✓", "+", "green", "passed")
    WARN = Look("WARN", "▲", "!", "yellow", "with a warning")
    FAIL = Look("FAIL", "✗", "x", "bold red", "failed")
    ERROR = Look("ERROR", "◆", "#", "bold magenta", "did not finish")
    SKIP = Look("SKIP", "○", "o", "bright_black", "did not run")
    WAIVED = Look("WAIVED", "◐", "~", "cyan", "waived")

    @property
    def css(self) -> str:
        """The class of elements in this state."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class VerdictLook:
    """How a verdict is shown."""

    sentence: str
    shape: str
    ascii: str
    style: str


VERDICTS = {
    Decision.GO: VerdictLook("ready to launch", "●", "*", "bold white on dark_green"),
    Decision.NO_GO: VerdictLook("do not launch", "■", "#", "bold white on dark_red"),
    Decision.HOLD: VerdictLook("not known to be ready", "▶", ">", "bold black on yellow"),
}

SKIP_WORDS = {
    Skip.NOT_APPLICABLE: "Not applicable to this subject",
    Skip.MISSING: "Input was not given",
    Skip.BLOCKED: "Blocked by an earlier failure",
    Skip.DESELECTED: "Not selected",
    Skip.OVER_BUDGET: "Over the time budget",
    Skip.INTERRUPTED: "Interrupted",
}
CRASHED = "Broke off before it could measure"  # crash, time limit, out of memory

_EMPTY = "\u2013"  # an en dash, the usual sign for an empty cell
_LOOKS = (*(state.value for state in State), *VERDICTS.values())
TO_ASCII = str.maketrans({**{look.shape: look.ascii for look in _LOOKS}, "·": "-", _EMPTY: "-", "…": "~"})


def state(result: Result) -> State:
    """The state to show: WAIVED where a waiver is what keeps the gate open."""
    if result.waived and replace(result, waived="").closes_gate:
        return State.WAIVED
    return State[result.status.name]


def headline(report: Report) -> str:
    """'NO-GO: do not launch (2 checks failed)': the answer in one line."""
    because = cause(report)
    return f"{report.verdict.value}: {answer(report)}{f' ({because})' if because else ''}"


def answer(report: Report) -> str:
    """'ready to launch', or less where a GO says less: of code that was only read, of a script's first steps."""
    if report.verdict is Decision.GO:
        if all(result.evidence in (Evidence.READ, Evidence.DECLARED) for result in report.ran):
            return "nothing wrong was found by reading; nothing was run"
        if all(result.category == "watch" for result in report.ran):
            return "nothing wrong in what was seen of the training"
    return VERDICTS[report.verdict].sentence


def cause(report: Report) -> str:
    """'2 checks failed, 1 check did not finish': why it is not GO, empty if it is."""
    if not report.results or report.exit_code == 5:
        return "no check was selected"
    closing = report.reasons
    failed = sum(result.status is Status.FAIL for result in closing)
    crashed = sum(result.status is Status.ERROR for result in closing)
    unknown = len(closing) - failed - crashed
    parts = [
        f"{count(failed, 'check')} failed" if failed else "",
        f"{count(crashed, 'check')} did not finish" if crashed else "",
        f"{count(unknown, 'required check')} did not run" if unknown else "",
    ]
    if closing:
        return ", ".join(part for part in parts if part)
    return "" if report.ran else "no check ran"


def coverage(report: Report) -> str:
    """'16 of 18 checks ran'; checks that do not apply are not counted."""
    counts = report.coverage
    return f"{counts['ran']} of {count(counts['applicable'], 'check')} ran"


def tally(results: tuple[Result, ...]) -> dict[State, int]:
    """How many results are in each state, empty states left out."""
    states = [state(result) for result in results]
    return {each: states.count(each) for each in State if each in states}


def tally_text(results: tuple[Result, ...]) -> str:
    """'5 passed, 1 failed'."""
    return ", ".join(f"{many} {each.value.plural}" for each, many in tally(results).items())


def count(many: int, noun: str) -> str:
    """'1 check', '2 checks'."""
    return f"{many} {noun}" if many == 1 else f"{many} {noun}s"


def duration(seconds: float) -> str:
    """Seconds as a person reads them: '340 ms', '4.2 s', '3 min 20 s', '2 h 5 min'."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def interval(limits: Interval, unit: str) -> str:
    """'at most 5 %': an interval with its unit."""
    if limits.lo is None and limits.hi is None:
        return "anything"
    if limits.lo is None:
        return f"at most {number(limits.hi or 0.0, unit)}"
    if limits.hi is None:
        return f"at least {number(limits.lo, unit)}"
    if limits.lo == limits.hi:
        return f"exactly {number(limits.lo, unit)}"
    return f"{bare(limits.lo, unit)} to {number(limits.hi, unit)}"


def bare(value: float, unit: str) -> str:
    """'2' of '2 samples', but '900 MB': a counted noun can be left out where it stands nearby, a prefix cannot."""
    text = number(value, unit)
    return text.rpartition(" ")[0] if unit.startswith("{") and unit.endswith("}") else text


def limit(criterion: Criterion, unit: str) -> str:
    """'at most 0.05 (fails above 0.1)': the accepted interval, and what is still tolerated where that is more."""
    inner, outer = interval(criterion.accept, unit), criterion.tolerate
    if criterion.accept == outer:
        return inner
    if outer.lo is None and outer.hi is None:
        return f"{inner} (else a warning)"
    if outer.lo is None:
        return f"{inner} (fails above {number(outer.hi or 0.0, unit)})"
    if outer.hi is None:
        return f"{inner} (fails below {number(outer.lo, unit)})"
    return f"{inner} (fails outside {interval(outer, unit)})"


def title(result: Result) -> str:
    """The title; where nothing was measured the check's claim is marked as one that nobody has established.

    Such a result carries the title of a pass, and a page that shows it bare reads as good news.
    """
    known = result.status not in (Status.SKIP, Status.ERROR)
    # A plug-in that cannot be loaded has no criteria: its title is no claim.
    return result.title if known or not result.criteria else f"Not established: {result.title}"


def fix(result: Result) -> str:
    """What to do. A check's advice is about its failure: it would mislead where nothing was measured."""
    measured = result.status not in (Status.SKIP, Status.ERROR)
    return result.fix if measured or not result.criteria else ""


def cell(value: object) -> str:
    """One cell of a table as a person reads it."""
    if value is None:
        return _EMPTY
    if isinstance(value, float) and math.isfinite(value):
        return number(value)
    return str(value)


def sentence(text: str) -> str:
    """The text with a capital letter if it starts with a plain word; `requires_grad` and `detach()` stay."""
    return text[:1].upper() + text[1:] if re.match(r"[a-z]+[ ,]", text) else text


def shorten(text: str, most: int) -> str:
    """At most `most` characters, the cut marked."""
    return text if len(text) <= most else text[: most - 1] + "…"
