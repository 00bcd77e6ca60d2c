"""End the script after enough steps, cleanly if it lets us, and in any case."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable

GRACE = 10.0  # seconds that the script has for its own clean-up
REPEATS = 3  # times that the script may catch the stop and take a further step


class Stop(SystemExit):
    """Enough was seen. `except Exception` does not catch it, and Python ends silently with exit code 0."""


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
