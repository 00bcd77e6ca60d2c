"""Whose code raised, and whether the run itself would have stopped there."""

import contextlib
import inspect
import re
import sysconfig
from functools import cache
from pathlib import Path

import gonogo
from gonogo.errors import GonogoError, NotApplicable

_PACKAGES = ("site-packages", "dist-packages")
_LIBRARIES = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), str(Path(gonogo.__file__).parent)})
# The machine's part: the same program may run where the memory, the files or the device are.
_MACHINE = (MemoryError, ImportError, OSError, TimeoutError, GonogoError, NotApplicable)
_DEVICE = re.compile(
    r"(?i)cuda|\bmps\b|\bxpu\b|\bgpu|\bhip\b|nccl|driver|backend|"
    r"out of memory|not allocate|to allocate|dataloader worker"
)


def origin(error: BaseException) -> str:
    """'file:line in function' of the user's own code nearest to where an error was raised."""
    frames = _frames(error)
    own = [frame for frame in frames if not is_library(frame.filename)] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno} in {own[-1].function}" if own else "no traceback"


def is_programs(error: Exception) -> bool:
    """Would it be raised on any machine? Not if it speaks of memory, files, packages or devices."""
    return not isinstance(error, _MACHINE) and not _DEVICE.search(str(error))


def passed_through(error: BaseException) -> bool:
    """Did it come out of the user's own code?"""
    return any(not is_library(frame.filename) for frame in _frames(error))


def _frames(error: BaseException) -> list[inspect.FrameInfo]:
    return inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []


@cache
def is_library(filename: str) -> bool:
    """Is it Python's own, an installed package, gonogo itself, or no file at all?"""
    if filename.startswith("<") or any(part in filename for part in _PACKAGES):
        return True
    with contextlib.suppress(OSError):  # the working directory may be gone
        path = Path(filename).absolute()
        return any(path.is_relative_to(library) for library in _LIBRARIES)
    return False
