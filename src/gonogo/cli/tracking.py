"""`--to`: the report in the trackers that a team already reads."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from gonogo.cli.folders import say, shown
from gonogo.core.report import Report
from gonogo.errors import ProfileError
from gonogo.reports import as_text, sinks
from gonogo.reports import files as formats

To = Annotated[
    list[str] | None,
    typer.Option("--to", metavar="TRACKER", help="Also send it to mlflow, wandb or tensorboard; may be repeated."),
]
Publish = Callable[[Report, Mapping[str, Path]], None]


@contextmanager
def publishing(names: list[str] | None, title: str) -> Iterator[Publish]:
    """What sends a report to every tracker of these names; all of them are found usable before anything is measured.

    Raises:
        ProfileError: A tracker is unknown, not installed or not usable; or, from what is yielded, one did not take the
            report, after all others had their turn.
    """
    trackers = {name: sinks.open_tracker(name, title) for name in dict.fromkeys(names or ())}
    failures: list[str] = []

    def publish(report: Report, files: Mapping[str, Path]) -> None:
        for name, tracker in trackers.items():
            try:
                say(tracker.publish(report, files))
                tracker.close()
            except Exception as error:  # whatever its library raises: the report is in its files
                failures.append(f"{name} did not take the report: {sinks.words(error)}")
        if failures:
            raise ProfileError("; ".join(failures))

    yield publish


def tell(report: Report, folder: Path, publish: Publish, verbose: bool) -> None:
    """Write the reports, show the answer, send it."""
    try:
        written = formats.write_all(report, folder)
    finally:  # a full disk must not cost the answer
        say(as_text.render(report, verbose=verbose))
    say(f"Report: {shown(written['html'])}")
    try:
        publish(report, written)
    except ProfileError as error:  # the answer is known, and its exit code stands
        typer.echo(f"gonogo: {error}", err=True)
