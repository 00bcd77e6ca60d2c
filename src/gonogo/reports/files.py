"""One report, every format: the files of a run."""

import os
from collections.abc import Callable
from pathlib import Path

from gonogo.core.report import Report
from gonogo.errors import ProfileError, did_you_mean
from gonogo.reports import as_github, as_html, as_json, as_junit, as_markdown, as_text

FORMATS: dict[str, Callable[[Report], str]] = {
    "json": as_json.render,
    "markdown": as_markdown.render,
    "html": as_html.render,
    "junit": as_junit.render,
    "text": as_text.render,
    "github": as_github.render,
}
# The JSON first: if another format cannot be written, the measurements are not lost.
NAMES = {"json": "report.json", "markdown": "report.md", "html": "report.html", "junit": "junit.xml"}


def render(report: Report, format: str) -> str:
    """The report in the format of that name.

    Raises:
        ProfileError: There is no such format.
    """
    if format not in FORMATS:
        valid = ", ".join(FORMATS)
        raise ProfileError(f"there is no report format {format!r}: give one of {valid}.{did_you_mean(format, FORMATS)}")
    return FORMATS[format](report)


def write_all(report: Report, folder: Path) -> dict[str, Path]:
    """The paths of the files, by format."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {format: folder / name for format, name in NAMES.items()}
    for format, path in paths.items():
        write(path, render(report, format))
    return paths


def write(path: Path, text: str) -> None:
    """Replace the file at once: a reader sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
