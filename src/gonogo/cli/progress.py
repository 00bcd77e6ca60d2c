"""What the terminal shows while checks run: a live line for people, one plain line per check for logs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

from gonogo.core.check import Effort
from gonogo.core.plan import Skip, Step
from gonogo.core.redact import redact
from gonogo.core.report import Result
from gonogo.reports.wording import state
from gonogo.study.design import Trial

_DOING = {Effort.READ: "reading", Effort.STEP: "measuring", Effort.FIT: "training"}


class Progress:
    """A listener of the supervisor."""

    def __init__(self, console: Console, spinner: Status | None) -> None:
        self._console, self._spinner = console, spinner

    def __call__(self, step: Step, result: Result | None) -> None:
        """Show that a step starts (no result yet) or what came of it."""
        if result is None:
            if self._spinner:
                self._spinner.update(f"{_DOING[step.check.effort]} {step.check.id}")
            return
        if result.skip is Skip.DESELECTED:
            return
        look = state(result).value
        shape = look.shape if self._console.encoding.startswith("utf") else look.ascii
        reason = redact(result.reason)
        self._console.print(f"{shape} {look.word:<6}", style=look.style, end=" ", highlight=False)
        self._console.print(f"{result.id:<38} {result.seconds:6.2f} s  ", end="", markup=False, highlight=False)
        self._console.print(
            reason, style="bright_black", markup=False, highlight=False, overflow="ellipsis", no_wrap=True
        )


class TrialProgress:
    """A listener of a study."""

    def __init__(self, console: Console, spinner: Status | None, total: int) -> None:
        self._console, self._spinner, self._total, self._ended = console, spinner, total, 0

    def __call__(self, key: tuple[str, int], trial: Trial | None) -> None:
        """Show that a training starts (none yet) or what came of it."""
        name = f"{key[0]}, seed {key[1]}"
        if trial is None:
            if self._spinner:
                self._spinner.update(f"training {name} ({self._ended} of {self._total} done)")
            return
        self._ended += 1
        metrics = ", ".join(f"{metric} {value:.4g}" for metric, value in trial.metrics.items() if value is not None)
        line = f"{self._ended} of {self._total}  {name:<44} {trial.seconds:7.1f} s  "
        self._console.print(line + redact(trial.failure or metrics), markup=False, highlight=False)


class _Terminal(Console):
    """A console whose reader may leave (`| head -1`): the run goes on, its reports and exit code are what counts."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        silence()


def silence() -> None:
    """Send what is still written to stdout nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


@contextmanager
def progress(subject: str) -> Iterator[Progress]:
    """A listener for this terminal."""
    with _live(f"loading {subject}") as (console, spinner):
        yield Progress(console, spinner)


@contextmanager
def trial_progress(total: int) -> Iterator[TrialProgress]:
    """The same for a study of so many trainings."""
    with _live("loading") as (console, spinner):
        yield TrialProgress(console, spinner, total)


@contextmanager
def _live(first: str) -> Iterator[tuple[Console, Status | None]]:
    console = _Terminal(soft_wrap=False)
    if not console.is_terminal or os.environ.get("CI"):
        # A log keeps whole lines: no live display, and nothing cut at the width of a terminal that is not there.
        yield _Terminal(width=10_000, force_terminal=False), None
        return
    with console.status(first, spinner="dots") as spinner:
        yield console, spinner
