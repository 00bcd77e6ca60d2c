"""The supervisor's side of a watch: start the script as the user would, wait, tell what came of it. No torch."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gonogo.errors import SubjectError, did_you_mean
from gonogo.watch.guard import Guard
from gonogo.watch.orders import Orders

INJECTED = Path(__file__).parent / "injected"
# Console scripts may belong to another environment, or not be on PATH: the modules behind them are asked for.
_LAUNCHERS = {
    "torchrun": ["-m", "torch.distributed.run"],
    "accelerate": ["-m", "accelerate.commands.accelerate_cli"],
    "deepspeed": ["-m", "deepspeed.launcher.runner"],
}
TICK = 0.1  # seconds between two looks at the command
_PYTHONS = ("python", "python3", "py")
_ASKED_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHELLS_SAY = 128  # and the number of the signal that ended a command of theirs
_TIMED_OUT = 124  # the exit code of `timeout`


@dataclass(frozen=True, slots=True)
class Ended:
    """How the command ended, as its parent saw it; what was seen inside is in the recording."""

    code: int
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Did it end as a scheduler would call failed, and not because somebody asked for its end?"""
        asked = {code for number in _ASKED_TO_END for code in (-number, _SHELLS_SAY + number)}
        return not self.interrupted and self.code not in {0, _TIMED_OUT, *asked}

    @property
    def told(self) -> str:
        """In words."""
        if self.interrupted:
            return "was interrupted"
        if self.code < 0:
            return f"was killed by {_named(-self.code)}"
        return f"ended with exit code {self.code}"


def _named(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:  # those for real-time use have none
        return f"signal {number}"
    return f"{name} (out of memory?)" if number == signal.SIGKILL else name


def command(words: Sequence[str]) -> list[str]:
    """The command to start: `python` and launchers by this interpreter, anything else as it is.

    Raises:
        SubjectError: There is no such command.
    """
    if not words:
        raise SubjectError("no command was given; write it behind --: gonogo watch -- python train.py")
    first, rest = words[0], list(words[1:])
    if len(words) == 1 and len(first.split()) > 1 and not Path(first).is_file():
        raise SubjectError(f"one word was found, {first!r}; give its parts as words of their own, without quotes")
    if first in _PYTHONS:
        return [sys.executable, *rest]
    if first in _LAUNCHERS:
        return [sys.executable, *_LAUNCHERS[first], *rest]
    if first.endswith(".py"):
        if not Path(first).is_file():
            near = did_you_mean(first, [str(path) for path in Path(first).parent.glob("*.py")])
            raise SubjectError(f"there is no script {first!r}.{near}")
        return [sys.executable, first, *rest]
    if shutil.which(first) is None:
        near = did_you_mean(first, [*_PYTHONS, *_LAUNCHERS]) or " As in: gonogo watch -- python train.py"
        raise SubjectError(f"there is no command {first!r}; give the one that starts the training.{near}")
    return list(words)


def run(words: Sequence[str], orders: Orders) -> Ended:
    """Run the command under watch, with the user's own terminal, and wait for its end."""
    path = os.pathsep.join(filter(None, [str(INJECTED), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, **orders.environment(), "PYTHONPATH": path}
    try:
        process = subprocess.Popen(command(words), env=environment)
    except OSError as error:
        raise SubjectError(f"{words[0]} cannot be started: {error.strerror}") from None
    started = time.monotonic()
    with Guard(process, orders.folder) as guard:
        while process.poll() is None or guard.in_background():
            guard.look()
            time.sleep(TICK)
    return Ended(process.returncode, guard.interrupted, time.monotonic() - started)
