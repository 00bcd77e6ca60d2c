"""End the script after enough steps, all its ranks after the same one, cleanly if it lets us, and in any case."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable

import torch

from gonogo.watch.orders import Orders

GRACE = 10.0  # seconds that the script has for its own clean-up
REPEATS = 3  # times that the script may catch the stop and take a further step


class Stop(SystemExit):
    """Enough was seen. `except Exception` does not catch it, and Python ends silently with exit code 0."""

    def __str__(self) -> str:
        return "gonogo watch has seen enough and ends the script here"


class Enough:
    """Has enough been seen? Ranks wait for each other's gradients, so one of them answers for all on this machine."""

    def __init__(self, orders: Orders) -> None:
        self.orders, self.first = orders, 0.0
        self.told = orders.folder / "until"

    def reached(self, steps: int) -> bool:
        """Is this step the last one?"""
        now = time.perf_counter()
        self.first = self.first or now
        if steps < self.orders.steps:
            return False
        late = now - self.first >= self.orders.seconds
        return self._all_reach(steps, late) if self.orders.seconds and _ranks() > 1 else late

    def _all_reach(self, steps: int, late: bool) -> bool:
        last = self._last()
        if last is None and late:
            # The others are in this step or behind it, and see the answer at the latest in the one that follows.
            with contextlib.suppress(FileExistsError), self.told.open("x") as file:
                file.write(str(steps + 1))
        return last is not None and steps >= last

    def _last(self) -> int | None:
        try:
            return int(self.told.read_text() or 0) or None  # another rank is just writing it
        except OSError:
            return None


def _ranks() -> int:
    distributed = torch.distributed
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


class Ending:
    """Raises Stop; if the script catches it and goes on, leaves by the hard way out."""

    def __init__(self, before_exit: Callable[[], None]) -> None:
        self.before_exit = before_exit
        self.times = 0

    def stop(self) -> None:
        """Raise Stop; the process ends at the latest `GRACE` seconds later."""
        self.times += 1
        if self.times == 1:
            timer = threading.Timer(GRACE, self.leave)
            timer.daemon = True
            timer.start()
        if self.times > REPEATS:
            self.leave()
        raise Stop(0)

    def leave(self) -> None:
        """End the process at once, with what was printed and no orphans."""
        with contextlib.suppress(Exception):
            self.before_exit()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(0)
