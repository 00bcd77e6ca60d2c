"""`gonogo report`: a saved report in another format."""

from pathlib import Path
from typing import Annotated

import typer

from gonogo.cli.judge import ReportArgument, load
from gonogo.reports import files


def report(
    report: ReportArgument,
    format: Annotated[str, typer.Option("--format", "-f", help="text, markdown, html, junit or json.")] = "text",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of the terminal.")] = None,
) -> None:
    """Write a saved report in another format."""
    text = files.render(load(report), format)
    if output:
        output.write_text(text, encoding="utf-8")
    else:
        typer.echo(text)
