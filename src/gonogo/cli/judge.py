"""`gonogo judge`: the same numbers under another profile; no torch, no device."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gonogo.cli import options
from gonogo.cli.folders import say
from gonogo.core import judge as judging
from gonogo.core.profile import BUILTIN, load_profile
from gonogo.core.report import Report, from_dict
from gonogo.errors import ProfileError
from gonogo.reports import as_text, files

ReportArgument = Annotated[Path, typer.Argument(metavar="REPORT", help="A report.json, or the folder it is in.")]


def judge(
    report: ReportArgument,
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="quick, standard, full, ..., or a YAML file [as it was run].")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the new reports.")] = None,
    verbose: options.Verbose = False,
) -> int:
    """Judge a saved report again under another profile."""
    found = load(report)
    judged = judging.judge(found, load_profile(profile or _profile_of(found)))
    if out:
        out.mkdir(parents=True, exist_ok=True)
        files.write_all(judged, out)
    say(as_text.render(judged, verbose=verbose))
    return judged.exit_code


def _profile_of(report: Report) -> str:
    """The profile under which a report came about; of a file that is elsewhere, only its name is known."""
    name = str(report.profile.get("name", ""))
    return name if name in BUILTIN else options.own_profile(report.subject)


def load(path: Path) -> Report:
    """The report in a file or folder.

    Raises:
        ProfileError: There is none, or it is not one.
    """
    file = path / "report.json" if path.is_dir() else path
    if not file.is_file():
        raise ProfileError(f"there is no report {file}; `gonogo run ... --out DIR` writes DIR/report.json")
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ProfileError(f"{file}: not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ProfileError(f"{file}: not a report that gonogo wrote")
    return from_dict(content, str(file))
