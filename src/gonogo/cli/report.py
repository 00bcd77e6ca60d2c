"""`gonogo report`: a saved report in another format."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from gonogo.cli.folders import say
from gonogo.cli.judge import ReportArgument, load
from gonogo.cli.tracking import To, publishing
from gonogo.core.report import Report
from gonogo.reports import files


def report(
    report: ReportArgument,
    format: Annotated[
        str, typer.Option("--format", "-f", help="text, markdown, html, junit, json or github.")
    ] = "text",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of the terminal.")] = None,
    to: To = None,
) -> None:
    """Write a saved report in another format, or send it to a tracker."""
    if to:
        _send(load(report), to)
        return
    text = files.render(load(report), format)
    if output:
        output.write_text(text, encoding="utf-8")
    else:
        say(text)


def _send(report: Report, to: list[str]) -> None:
    """The files are written anew: those beside a saved report may be of another version, or missing."""
    with publishing(to, report.subject) as publish, TemporaryDirectory() as folder:
        publish(report, files.write_all(report, Path(folder)))
