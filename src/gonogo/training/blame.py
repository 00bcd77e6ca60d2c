"""Whose code raised, and whether the run itself would have stopped there."""

import inspect
import re
from pathlib import Path

from gonogo.errors import GonogoError, NotApplicable

# The machine's part: the same program may run where the memory, the files or the device are.
_MACHINE = (MemoryError, ImportError, OSError, TimeoutError, GonogoError, NotApplicable)
_DEVICE = re.compile(
    r"(?i)cuda|\bmps\b|\bxpu\b|\bgpu|\bhip\b|nccl|driver|backend|"
    r"out of memory|not allocate|to allocate|dataloader worker"
)


def origin(error: BaseException) -> str:
    """'file:line in function' of the user's own code nearest to where an error was raised."""
    frames = _frames(error)
    own = [frame for frame in frames if not _is_library(frame.filename)] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno} in {own[-1].function}" if own else "no traceback"


def is_programs(error: Exception) -> bool:
    """Would it be raised on any machine? Not if it speaks of memory, files, packages or devices."""
    return not isinstance(error, _MACHINE) and not _DEVICE.search(str(error))


def passed_through(error: BaseException) -> bool:
    """Did it come out of the user's own code?"""
    return any(not _is_library(frame.filename) for frame in _frames(error))


def _frames(error: BaseException) -> list[inspect.FrameInfo]:
    return inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []


def _is_library(filename: str) -> bool:
    return "site-packages" in filename or f"{Path('gonogo')}/" in filename.split("src/")[-1] or filename.startswith("<")
