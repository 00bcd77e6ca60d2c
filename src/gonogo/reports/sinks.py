"""Where the numbers of a run go besides its own files: one small interface to MLflow, Weights & Biases, TensorBoard."""

import importlib
import posixpath
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from gonogo.core.redact import redact
from gonogo.core.report import Report
from gonogo.errors import GonogoError, ProfileError, did_you_mean

TRACKERS = ("mlflow", "wandb", "tensorboard")  # the library, the extra and the name of the option are one word
FOLDER = Path(".gonogo")  # what a tracker keeps on this machine goes below it: never into the user's own folder
_STRANGE = re.compile(r"[^\w./ :-]")  # what MLflow refuses in a name; the others take the same names


class Sink(Protocol):
    """Takes the live numbers of a training. Nothing is started before the first of them.

    What the library of the tracker raises (no network, a full disk) comes through: the caller knows whether a
    training may go on without its log.
    """

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Keep the values of one optimizer step, under `gonogo/<name>`; nan and inf are values like others."""
        ...

    def alert(self, title: str, text: str) -> None:
        """Tell a person."""
        ...

    def close(self) -> None:
        """Write out what waits. A run that was live before stays live."""
        ...


class Tracker(Sink, Protocol):
    """Also takes a report."""

    def publish(self, report: Report, files: Mapping[str, Path]) -> str:
        """Send verdict, measurements and the files of `write_all`; returns where they are, for the terminal."""
        ...


def open_tracker(name: str, title: str, folder: Path = FOLDER) -> Tracker:
    """The tracker of that name; `title` names the run in it, unless the tracker's own settings do.

    Raises:
        ProfileError: There is no such tracker, its library is missing, or its settings do not work.
    """
    if name not in TRACKERS:
        raise ProfileError(
            f"there is no tracker {name!r}: give one of {', '.join(TRACKERS)}.{did_you_mean(name, TRACKERS)}"
        )
    if find_spec(name) is None:
        raise ProfileError(f"{name} is not installed, so nothing can be sent to it: pip install 'gonogo[{name}]'")
    try:
        return importlib.import_module(f"gonogo.reports.to_{name}").Run(redact(title), folder)
    except GonogoError:
        raise
    except Exception as error:
        raise ProfileError(f"{name} cannot be used: {words(error)}") from None


def own_folder(folder: Path, name: str) -> Path:
    """The folder that a tracker has here, which git ignores."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    return place.resolve()


def measured(report: Report) -> dict[str, float]:
    """{'gonogo/<check>/<measurement>': value}, those that are not finite too."""
    numbers = (
        (f"{result.id}/{name}", measurement.non_finite if measurement.value is None else measurement.value)
        for result in report.results
        if result.observation
        for name, measurement in result.observation.measurements.items()
    )
    return named({name: float(value) for name, value in numbers if value != ""})


def described(report: Report) -> dict[str, str]:
    """The tags: what runs are found and sorted by."""
    profile = str(report.profile.get("name", ""))
    found = {"verdict": report.verdict.value, "subject": report.subject, "profile": profile, "proxy": report.proxy}
    return {f"gonogo.{name}": redact(value) for name, value in found.items() if value}


def named(values: Mapping[str, float]) -> dict[str, float]:
    """The values under the names that every tracker takes."""
    return {posixpath.normpath(f"gonogo/{_STRANGE.sub('_', name).strip('/')}"): value for name, value in values.items()}


def words(error: BaseException) -> str:
    """An error of a library in one line, without secrets."""
    text = " ".join(str(error).split()) or type(error).__name__
    return redact(text if len(text) < 500 else f"{text[:500]}...")
