"""What a command started ends with it: when enough was seen, at the user's wish, and by a scheduler's signal."""

import contextlib
import json
import math
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from gonogo.watch.orders import FOLDER

GRACE = 10.0  # seconds that an interrupted script has for its own clean-up
AFTER = 3.0  # seconds for launchers and shells, when all that trained has ended
STUCK = 25.0  # seconds after which a process that was told to end is held up for good
KILL = 5.0  # seconds between the polite signal and the last one


class Guard:
    """A context around the command's life; signals are answered in it, and nothing that we stopped is left behind."""

    def __init__(self, process: subprocess.Popen[Any], folder: Path) -> None:
        self.process, self.folder, self.interrupted = process, folder, False
        self._deadline = math.inf
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> "Guard":
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and `&` leave it
                self._handlers[number] = signal.signal(number, self._signalled)
        return self

    def __exit__(self, *_: object) -> None:
        if self._deadline < math.inf or self.process.poll() is None:
            self._end()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def look(self) -> None:
        """End what is left some time after all that trained was ended."""
        if stopped := [pid for pid, how in self._recorded().items() if how == "steps"]:
            self._end_within(STUCK if any(map(_lives, stopped)) else AFTER)
        if time.monotonic() > self._deadline:
            self._end()

    def in_background(self) -> bool:
        """Has the command left a training behind that is still to be seen?"""
        recorded = self._recorded()
        begun = recorded or [one.pid for one in self._left()]  # torch takes its time
        return not any(recorded.values()) and any(map(_lives, begun))

    def _signalled(self, number: int, _: Any) -> None:
        self._end_within(0.0 if self.interrupted else GRACE)
        self.interrupted = True
        if number == signal.SIGTERM:  # a terminal tells its interrupt to the script as well; who sends this does not
            _tell(self._left(), number)

    def _end_within(self, seconds: float) -> None:
        self._deadline = min(self._deadline, time.monotonic() + seconds)

    def _recorded(self) -> dict[int, str]:
        """By process: how its recording ends, nothing while it goes on."""
        return {int(path.stem): _ending(path) for path in self.folder.glob("*.jsonl")}

    def _left(self) -> list[psutil.Process]:
        """What the command started and is still there, also where its parent is gone; parents first.

        A shell that is told after its child would go on with the next command. The clock of their births is coarse:
        what was born in the same tick is told apart by its number.
        """
        found: set[psutil.Process] = set()
        with contextlib.suppress(psutil.Error):
            if self.process.poll() is None:
                one = psutil.Process(self.process.pid)
                found = {one, *one.children(recursive=True)}
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if one.environ().get(FOLDER) == str(self.folder):
                    found.add(one)
        return sorted((one for one in found if one.pid != os.getpid()), key=lambda one: (one.create_time(), one.pid))

    def _end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            left = self._left()
            _tell(left, number)
            until = time.monotonic() + KILL
            while any(_lives(one.pid) for one in left) and time.monotonic() < until:
                self.process.poll()
                time.sleep(0.05)


def _tell(processes: list[psutil.Process], number: int) -> None:
    for one in processes:
        with contextlib.suppress(psutil.Error):
            one.send_signal(number)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _ending(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 2000))
            event = json.loads(file.read().splitlines()[-1])
    except (OSError, ValueError, IndexError):
        return ""
    return str(event.get("how", "")) if isinstance(event, dict) and event.get("kind") == "end" else ""
