"""Where the reports of a run go, and how their place is told."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import typer

from gonogo.cli.progress import silence
from gonogo.errors import ProfileError
from gonogo.reports.wording import TO_ASCII

RUNS = Path(".gonogo") / "runs"


def say(text: str) -> None:
    """Print to stdout, in ASCII where it cannot encode the shapes."""
    encoding = getattr(sys.stdout, "encoding", None) or ""  # there is no stdout where it was closed
    plain = encoding.lower().startswith(("utf", "ascii"))  # typer writes ASCII as UTF-8
    try:
        typer.echo(text if plain else text.translate(TO_ASCII))
    except BrokenPipeError:  # nobody reads any more: the exit code is still the verdict
        silence()


def prepared(out: Path | None, subject: str, resume: bool = False) -> Path:
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


def shown(path: Path) -> str:
    """The path as short as it can be clicked: relative if it is below the current folder."""
    absolute = path.resolve()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)
