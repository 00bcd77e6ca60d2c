"""The report as GitHub Markdown, for pull requests and step summaries."""

import re
from collections.abc import Iterable, Iterator

from gonogo.core.measurement import Table
from gonogo.core.plan import Skip
from gonogo.core.report import Report, Result
from gonogo.reports import wording
from gonogo.reports.clean import clean
from gonogo.reports.launch import launch, unknown_together
from gonogo.reports.rows import (
    Row,
    asked_for,
    by_reason,
    deselected,
    flat,
    follows,
    judged,
    not_run,
    rows,
    waived,
    warnings,
)

_SHOWN = 10  # rows of an evidence table: a pull request is read on a phone
_LIMIT = 60_000  # characters: a comment on a pull request may have 65,536
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$])")


def render(report: Report) -> str:
    """Verdict, reasons, warnings, launch, what did not run, and folded away: all checks, the machine, the evidence."""
    report = clean(report)
    page = "\n".join(_lines(report)).rstrip() + "\n"
    return page + _rest(report, _LIMIT - len(page))


def _rest(report: Report, room: int) -> str:
    """The tables of checks that are no finding, as many as a comment has room for."""
    shown, text = report.reasons, "\n## Evidence\n"
    blocks = [
        "\n".join(line for table in result.observation.tables for line in _evidence(table, result.id)) + "\n"
        for result in report.results
        if result.observation and result.observation.tables and result not in shown
    ]
    kept = [block for place, block in enumerate(blocks) if sum(map(len, blocks[: place + 1])) < room - 200]
    left = len(blocks) - len(kept)
    more = f"\nTables of {wording.count(left, 'more check')} are in report.json.\n" if left else ""
    return text + "".join(kept) + more if blocks else ""


def escape(text: str) -> str:
    """The text as one line that Markdown shows as it is; @ and # neither notify people nor link issues."""
    line = " ".join(text.split())
    return _SPECIAL.sub(r"\\\1", line).replace("@", "@\u200b")


def _lines(report: Report) -> Iterator[str]:
    yield from _banner(report)
    if report.reasons:
        yield from ("", "## Why")
    for result in report.reasons:
        yield from _reason(report, result)
    yield from _list("Warnings", (_warning(result) for result in warnings(report)))
    yield from _list("Waived", (f"- {_name(result)}: {escape(result.waived)}" for result in waived(report)))
    yield from _list("Launch", _launch(report))
    unknown = not_run(report)
    yield from _list(
        "Did not run", (line for words, results in unknown.items() for line in _group(report, words, results))
    )
    yield from ("", "## All checks")
    for category, results in asked_for(report).items():
        yield from _category(category, results)
    yield from _list("Notes", (f"- {escape(note)}" for note in report.notes))
    for name, facts in (("Environment", report.environment), ("Provenance", report.provenance)):
        rows = [(key, str(value)) for key, value in flat(facts)]
        if rows:
            yield from ("", f"## {name}", "", "<details><summary>Facts</summary>", "")
            yield from (*grid(("what", "value"), rows), "", "</details>")


def _banner(report: Report) -> Iterator[str]:
    yield f"# {wording.VERDICTS[report.verdict].shape} {wording.headline(report)}"
    yield ""
    profile = str(report.profile.get("name", ""))
    facts = [f"**{escape(report.subject)}**", f"profile {escape(profile)}" if profile else "", wording.coverage(report)]
    facts += [wording.duration(report.seconds), f"gonogo {escape(report.gonogo)}" if report.gonogo else ""]
    yield " · ".join(fact for fact in facts if fact)
    if report.proxy:
        yield from ("", f"> **Proxy:** {escape(report.proxy)}")


def _name(result: Result) -> str:
    look = wording.state(result).value
    return f"{look.shape} **{look.word}** {escape(result.id)}"


def _reason(report: Report, result: Result) -> Iterator[str]:
    yield from ("", f"### {_name(result)}: {escape(wording.title(result))}", "", escape(result.reason))
    if judged(result):
        yield from ("", *grid(("measured", "value", "limit", "source"), (_row(row) for row in judged(result))))
    for table in result.observation.tables if result.observation else ():
        yield from _evidence(table)
    if fix := wording.fix(result):
        yield from ("", f"**Fix:** {escape(fix)}")
    if also := follows(report, result):
        yield from ("", f"**Also, because of it:** {escape(also)}")
    if result.why:
        yield from ("", f"**Why it matters:** {escape(result.why)}")


def _row(row: Row) -> tuple[str, ...]:
    word = f"{wording.State[row.status.name].value.shape} " if row.status is not None else ""
    return f"{word}{row.name}", row.measured, row.limit, row.source


def _warning(result: Result) -> str:
    fix = f" Fix: {escape(result.fix)}" if result.fix else ""
    return f"- {_name(result)}: {escape(result.reason)}.{fix}"


def _launch(report: Report) -> Iterator[str]:
    found = launch(report)
    yield f"- {escape(found.answer)}"
    yield from (f"- Blocked by {escape(result.id)}: {escape(result.reason)}" for result in found.blockers)
    for need in found.needs:
        yield f"- {escape(need.what)}: {escape(need.value)} ({escape(need.source)}, {need.evidence})"
    yield from (f"- Unknown: {escape(line)}" for line in unknown_together(found))


def _group(report: Report, words: str, results: tuple[Result, ...]) -> Iterator[str]:
    if words == wording.SKIP_WORDS[Skip.DESELECTED]:
        yield f"- {words} ({len(results)}): {escape(', '.join(deselected(report, results)))}"
        return
    yield f"- {words} ({len(results)})"
    for reason, members in by_reason(results).items():
        names = (f"{escape(result.id)}{' (required)' if result.required else ''}" for result, _ in members)
        yield f"  - {', '.join(names)}: {escape(reason)}"
        yield from (f"    - {escape(result.id)}: {escape(detail)}" for result, detail in members if detail)


def _evidence(table: Table, source: str = "") -> Iterator[str]:
    shown = table.rows[:: max(1, -(-len(table.rows) // _SHOWN))] if table.kind == "line" else table.rows[:_SHOWN]
    title = f"{source}: {table.title}" if source else table.title
    yield from ("", f"<details><summary>{escape(title)}</summary>", "")
    yield from grid(table.columns, ([wording.cell(cell) for cell in row] for row in shown))
    if table.total > len(shown):
        yield from ("", f"{len(shown)} of {table.total} rows")
    yield from ("", "</details>")


def _category(category: str, results: tuple[Result, ...]) -> Iterator[str]:
    summary = f"{escape(category)}: {wording.tally_text(results)}"
    yield from ("", f"<details><summary>{summary}</summary>", "")
    yield from grid(("status", "check", "", "measured", "evidence", "time"), (_cells(result) for result in results))
    yield from ("", "</details>")


def _cells(result: Result) -> tuple[str, ...]:
    look = wording.state(result).value
    measured = "; ".join(f"{row.name} {row.measured} ({row.limit})" for row in rows(result)) or result.reason
    seconds = wording.duration(result.seconds) if result.seconds else ""
    return f"{look.shape} {look.word}", result.id, wording.title(result), measured, result.evidence.value, seconds


def grid(columns: Iterable[str], cells: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table, long cells cut."""
    heads = [escape(column) for column in columns]
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in cells:
        yield f"| {' | '.join(escape(wording.shorten(cell, 200)) for cell in row)} |"


def _list(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield from ("", f"## {title}", "", *found)
