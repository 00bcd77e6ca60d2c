"""`gonogo run`: measure a subject, judge it, write the reports."""

import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gonogo.cli import options
from gonogo.cli.progress import progress, silence
from gonogo.errors import ProfileError
from gonogo.execution.supervisor import Request, execute
from gonogo.reports import as_text, files

RUNS = Path(".gonogo") / "runs"


def run(
    subject: options.SubjectArgument,
    overrides: options.Overrides = None,
    profile: options.ProfileOption = "standard",
    only: options.Only = None,
    skip: options.Without = None,
    device: options.Device = "auto",
    budget: options.Budget = None,
    time_limit: options.TimeLimit = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the reports.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was killed.")] = False,
    verbose: options.Verbose = False,
) -> int:
    """Measure SUBJECT and answer GO, NO-GO or HOLD."""
    request = Request(
        subject=subject,
        profile=options.chosen_profile(profile, only, skip, budget, time_limit),
        overrides=options.parsed(overrides),
        device=device,
        resume=resume,
    )
    folder = _prepared(out, subject, resume)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's stop leaves a report, as Ctrl-C does
    try:
        with progress(subject) as listen:
            report = execute(request, folder, listen)
    except KeyboardInterrupt:
        typer.echo("gonogo: interrupted before anything was measured", err=True)
        return 130
    try:
        written = files.write_all(report, folder)
    finally:  # a full disk must not cost the answer
        _say(as_text.render(report, verbose=verbose))
    _say(f"Report: {_shown(written['html'])}")
    return 130 if "interrupted by the user" in report.notes else report.exit_code


def _say(text: str) -> None:
    try:
        typer.echo(text)
    except BrokenPipeError:  # nobody reads any more: the exit code is still the verdict
        silence()


def _prepared(out: Path | None, subject: str, resume: bool) -> Path:
    """The folder of this run, made and found writable before anything is measured."""
    folder = out or (RUNS / "latest" if resume else RUNS / _name(subject))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ProfileError(
            f"the folder {folder} cannot be written ({error.strerror}); give another with --out"
        ) from None
    if out is None and not resume:
        (RUNS.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        _point_latest_at(folder)
    return folder


def _point_latest_at(folder: Path) -> None:
    link, new = RUNS / "latest", RUNS / f".latest-{os.getpid()}"
    new.unlink(missing_ok=True)
    try:
        new.symlink_to(folder.name)
        new.replace(link)
    except OSError:  # a file system without links: the run's own folder is all there is
        new.unlink(missing_ok=True)


def _name(subject: str) -> str:
    words = "".join(letter if letter.isalnum() else "-" for letter in Path(subject).name).strip("-")
    return f"{datetime.now(tz=UTC):%Y%m%dT%H%M%S}-{os.getpid()}-{words}"


def _shown(path: Path) -> str:
    """The path as short as it can be clicked: relative if it is below the current folder."""
    absolute = path.resolve()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)
