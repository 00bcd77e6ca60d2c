"""`gonogo run`: measure a subject, judge it, write the reports."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from gonogo.cli import options
from gonogo.cli.folders import prepared
from gonogo.cli.progress import progress
from gonogo.cli.tracking import To, publishing, tell
from gonogo.execution.supervisor import Request, execute


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
        tell(report, folder, publish, verbose)
    return 130 if "interrupted by the user" in report.notes else report.exit_code
