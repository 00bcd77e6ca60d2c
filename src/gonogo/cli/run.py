"""`gonogo run`: measure a subject, judge it, write the reports."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from gonogo.cli import options
from gonogo.cli.folders import prepared, say, shown
from gonogo.cli.progress import progress
from gonogo.cli.tracking import Publish, To, publishing
from gonogo.core.report import Report
from gonogo.errors import ProfileError
from gonogo.execution.supervisor import Request, execute
from gonogo.reports import as_text, files


def run(
    subject: options.SubjectArgument,
    overrides: options.Overrides = None,
    profile: options.OwnProfile = None,
    only: options.Only = None,
    skip: options.Without = None,
    device: options.Device = "auto",
    budget: options.Budget = None,
    time_limit: options.TimeLimit = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the reports.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was killed.")] = False,
    to: To = None,
    verbose: options.Verbose = False,
) -> int:
    """Measure SUBJECT and answer GO, NO-GO or HOLD."""
    request = Request(
        subject=subject,
        profile=options.chosen_profile(subject, profile, only, skip, budget, time_limit),
        overrides=options.parsed(overrides),
        device=device,
        resume=resume,
    )
    with publishing(to, subject) as publish:
        folder = prepared(out, subject, resume)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's stop leaves a report, as Ctrl-C does
        try:
            with progress(subject) as listen:
                report = execute(request, folder, listen)
        except KeyboardInterrupt:
            typer.echo("gonogo: interrupted before anything was measured", err=True)
            return 130
        _told(report, folder, publish, verbose)
    return 130 if "interrupted by the user" in report.notes else report.exit_code


def _told(report: Report, folder: Path, publish: Publish, verbose: bool) -> None:
    try:
        written = files.write_all(report, folder)
    finally:  # a full disk must not cost the answer
        say(as_text.render(report, verbose=verbose))
    say(f"Report: {shown(written['html'])}")
    try:
        publish(report, written)
    except ProfileError as error:  # the answer is known, and its exit code stands
        typer.echo(f"gonogo: {error}", err=True)
