"""Which line of the user's own code is at work: the innermost frame that is neither a library's nor ours."""

import contextlib
import sys
import traceback
from functools import cache
from pathlib import Path
from types import TracebackType

from gonogo.training.blame import is_library


def line() -> str | None:
    """'train.py:95', as seen from the folder in which the script began; None where all code is a library's."""
    frame = sys._getframe(1)
    while frame is not None:
        if (name := _shown(frame.f_code.co_filename)) is not None:
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def failing(trace: TracebackType | None) -> str:
    """The line of the user's own code in which an error came up; the library's where there is no such line."""
    frames = traceback.extract_tb(trace)
    own = [frame for frame in frames if not is_library(frame.filename)]
    return next((f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(own or frames)), "")


@cache
def _shown(filename: str) -> str | None:
    if is_library(filename):
        return None
    path = Path(filename)
    with contextlib.suppress(OSError):  # the working directory may be gone
        path = path.absolute()
        if path.is_relative_to(Path.cwd()):
            return str(path.relative_to(Path.cwd()))
    return str(Path(*path.parts[-2:]))
