"""The findings as workflow commands of GitHub Actions: what it shows beside a pull request."""

from gonogo.core.criterion import Status
from gonogo.core.report import Report, Result
from gonogo.reports.as_junit import body
from gonogo.reports.clean import clean
from gonogo.reports.rows import warnings
from gonogo.reports.wording import title

MOST = 10  # GitHub shows no more of a kind per step


def render(report: Report) -> str:
    """The worst ten findings, a line each: what closes the gate first, then warnings."""
    report = clean(report)
    found = (*report.reasons, *warnings(report))[:MOST]
    return "".join(f"{_annotation(result)}\n" for result in found)


def _annotation(result: Result) -> str:
    level = "warning" if result.status is Status.WARN else "error"
    name = f"{result.id}: {title(result)}"
    # As GitHub's own toolkit escapes them: a line break in a report must not start another command.
    return f"::{level} title={_escaped(name).replace(':', '%3A').replace(',', '%2C')}::{_escaped(body(result))}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
