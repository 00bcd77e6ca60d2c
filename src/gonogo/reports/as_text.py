"""The report for a terminal: the answer, what to do about it, and what is not known. No tracebacks unless asked."""

import textwrap
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from gonogo.core.plan import Skip
from gonogo.core.report import Report, Result
from gonogo.reports import wording
from gonogo.reports.clean import clean
from gonogo.reports.launch import launch, unknown_together
from gonogo.reports.rows import asked_for, by_reason, deselected, examples, follows, judged, not_run, waived, warnings

Span = tuple[str, str]  # text, style of rich
Line = tuple[Span, ...]
_WIDTH = 100
_BLANK: Line = ()


def render(report: Report, *, verbose: bool = False) -> str:
    """Plain text: no colour, no control character, one finding a line."""
    lines = ("".join(text for text, _ in line) for line in _lines(clean(report), verbose))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def print_report(console: Console, report: Report, *, verbose: bool = False) -> None:
    """The same text in colour, in ASCII where the console cannot encode the shapes."""
    for line in _lines(clean(report), verbose):
        text = Text.assemble(*line)
        if not console.encoding.lower().startswith("utf"):
            text.plain = text.plain.translate(wording.TO_ASCII).encode("ascii", "replace").decode()
        console.print(text, soft_wrap=True, highlight=False)


def _lines(report: Report, verbose: bool) -> Iterator[Line]:
    yield from _banner(report)
    yield from _section("Why", [line for result in report.reasons for line in _reason(report, result, verbose)])
    yield from _section("Warnings", [line for result in warnings(report) for line in _finding(report, result)])
    yield from _section("Waived", [line for result in waived(report) for line in _waiver(result)])
    yield from _section("Launch", list(_launch(report)))
    yield from _section("Did not run", list(_unknown(report, verbose)))
    yield from _section("Checks", list(_categories(report, verbose)))
    yield from _section("Notes", [((f"  {note}", ""),) for note in report.notes])


def _banner(report: Report) -> Iterator[Line]:
    look = wording.VERDICTS[report.verdict]
    yield ((f" {look.shape} {wording.headline(report)} ", look.style),)
    profile = report.profile.get("name", "")
    facts = [report.subject, f"profile {profile}" if profile else "", wording.coverage(report)]
    facts += [wording.duration(report.seconds), f"gonogo {report.gonogo}" if report.gonogo else ""]
    yield ((f"   {' · '.join(fact for fact in facts if fact)}", "dim"),)
    if report.proxy:
        yield ((f"   PROXY: {report.proxy}", "bold yellow"),)


def _section(title: str, lines: list[Line]) -> Iterator[Line]:
    if lines:
        yield _BLANK
        yield ((title, "bold"),)
        yield from lines


def _head(result: Result) -> Line:
    look = wording.state(result).value
    return ((f"  {look.shape} {look.word:<6} ", look.style), (result.id, "bold"), (f"  {wording.title(result)}", ""))


def _finding(report: Report, result: Result) -> Iterator[Line]:
    yield _head(result)
    rows = [row for row in judged(result) if row.status is result.status]
    for row in rows:
        yield ((f"      {row.name} {row.measured}", ""), (f"  expected {row.limit}", "dim"))
    if not rows:
        yield ((f"      {' '.join(result.reason.split())}", ""),)
    yield from (((f"      {line}", "dim"),) for line in examples(result))
    yield from _wrapped("fix: ", wording.fix(result))
    yield from _wrapped("also, because of it: ", follows(report, result))


def _reason(report: Report, result: Result, verbose: bool) -> Iterator[Line]:
    yield from _finding(report, result)
    if not verbose:
        return
    yield from _wrapped("why: ", result.why)
    if result.failure:
        details = f"{result.failure.stderr}\n{result.failure.traceback}".strip()
        yield from (((f"      | {line}", "dim"),) for line in details.splitlines())


def _waiver(result: Result) -> Iterator[Line]:
    yield _head(result)
    yield ((f"      {result.waived}", "dim"),)


def _launch(report: Report) -> Iterator[Line]:
    found = launch(report)
    yield ((f"  {found.answer}", "bold"),)
    for need in found.needs:
        yield ((f"  {need.what}: {need.value}", ""), (f"  {need.source}, {need.evidence}", "dim"))
    yield from (((f"  unknown: {line}", ""),) for line in unknown_together(found))


def _unknown(report: Report, verbose: bool) -> Iterator[Line]:
    for words, results in not_run(report).items():
        yield ((f"  {words} ({len(results)})", "bold"),)
        # A deselected check has nothing to say: its id is enough.
        if words == wording.SKIP_WORDS[Skip.DESELECTED] and not verbose:
            yield from _wrapped("", ", ".join(deselected(report, results)))
            continue
        for reason, members in by_reason(results).items():
            shape = wording.state(members[0][0]).value.shape
            if len(members) == 1:
                yield _skipped(f"    {shape} ", members[0][0], reason)
                continue
            yield ((f"    {shape} ", ""), (f"{' '.join(reason.split())}:", "dim"))
            yield from (_skipped("        ", result, detail) for result, detail in members)


def _skipped(start: str, result: Result, reason: str) -> Line:
    required = "  required" if result.required else ""
    return ((f"{start}{result.id}", ""), (required, "bold"), (f"  {' '.join(reason.split())}", "dim"))


def _categories(report: Report, verbose: bool) -> Iterator[Line]:
    categories = asked_for(report)
    width = max((len(name) for name in categories), default=0)
    for name, results in categories.items():
        yield ((f"  {name:<{width}}  ", ""), (wording.tally_text(results), "dim"))
        if verbose:
            yield from (_head(result) for result in results)


def _wrapped(label: str, text: str) -> Iterator[Line]:
    lines = textwrap.wrap(" ".join(text.split()), _WIDTH, break_long_words=False, break_on_hyphens=False)
    for index, line in enumerate(lines):
        yield ((f"      {label if index == 0 else ' ' * len(label)}", "bold"), (line, ""))
