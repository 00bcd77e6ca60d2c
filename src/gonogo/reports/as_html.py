"""The report as one HTML file: no script, nothing loaded, readable in ten years and under a strict CSP."""

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import count
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from gonogo.core.criterion import Status
from gonogo.core.report import Report, Result
from gonogo.reports import chart_gauge, figures, rows, wording
from gonogo.reports import launch as launching
from gonogo.reports.clean import clean
from gonogo.reports.wording import State, shorten

LIMIT = 1_000_000  # bytes: what opens at once, in a mail too

# How much evidence to show: all of it unless the page would grow over the limit.
_EVERYTHING, _FINDINGS, _NUMBERS = "everything", "findings", "numbers"


@dataclass(frozen=True, slots=True)
class Item:
    """A result and where the page shows it: its row, and its card if it is a finding."""

    anchor: str
    result: Result
    card: str = ""
    follows: str = ""


def render(report: Report) -> str:
    """The page; evidence of passing checks is left out first, should it grow over a megabyte."""
    report, page = clean(report), ""
    for evidence in (_EVERYTHING, _FINDINGS, _NUMBERS):
        page = _page(report, evidence)
        if len(page.encode("utf-8")) < LIMIT:
            break
    return page


def _page(report: Report, evidence: str) -> str:
    ids = count(1)
    reasons = _cards("reason", report, report.reasons)
    warnings = _cards("warning", report, rows.warnings(report))
    return template("report.html.j2").render(
        report=report,
        look=wording.VERDICTS[report.verdict],
        reasons=reasons,
        warnings=warnings,
        keyed=_keyed({"reasons": reasons, "warnings": warnings}),
        sections=_sections(report, [*reasons, *warnings]),
        css=css(),
        figure=lambda table: figures.figure(table, f"figure-{next(ids)}"),
        gauge=lambda row: Markup(chart_gauge.draw(row, f"figure-{next(ids)}")),  # noqa: S704 - escaped by ElementTree
        launch=launching.launch(report),
        unknown_together=launching.unknown_together,
        shows=lambda finding: evidence == _EVERYTHING or (finding and evidence == _FINDINGS),
        complete=evidence == _EVERYTHING,
    )


def _cards(kind: str, report: Report, results: tuple[Result, ...]) -> list[Item]:
    numbered = enumerate(results, start=1)
    return [Item(f"{kind}-{index}", result, follows=rows.follows(report, result)) for index, result in numbered]


def css() -> Markup:
    """The style of every page."""
    return Markup(resources.files("gonogo.reports").joinpath("report.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file


@cache
def template(name: str) -> Any:
    """A page with the filters and words that all of them use."""
    environment = Environment(
        loader=PackageLoader("gonogo", "reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "prose": prose,
        "flat": rows.flat,
        "shorten": shorten,
        "duration": wording.duration,
        "sentence": wording.sentence,
    }
    environment.globals |= {"words": wording, "lines": rows, "State": State, "Status": Status}
    return environment.get_template(name)


def _sections(report: Report, cards: list[Item]) -> dict[str, list[Item]]:
    shown = {id(item.result): item.anchor for item in cards}
    ids = count(1)
    return {
        category: [Item(f"check-{next(ids)}", result, shown.get(id(result), "")) for result in results]
        for category, results in rows.asked_for(report).items()
    }


def _keyed(groups: dict[str, list[Item]]) -> str:
    """The first group with a gauge: it explains how to read them."""
    return next((name for name, items in groups.items() if any(rows.judged(item.result) for item in items)), "")


def prose(text: str) -> Markup:
    """Paragraphs and `code` of a docstring as HTML."""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", shorten(text, 4000)) if part.strip()]
    escaped = (str(escape(wording.sentence(part))) for part in paragraphs)
    marked = (re.sub(r"`+([^`]+)`+", r"<code>\1</code>", part) for part in escaped)
    return Markup("".join(f"<p>{part}</p>" for part in marked))  # noqa: S704 - escaped one line above
