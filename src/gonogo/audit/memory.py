"""Free memory, as a program here may use it."""

from contextlib import suppress
from pathlib import Path

import psutil

_GROUP = Path("/sys/fs/cgroup")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def free_memory() -> int:
    """Bytes that can be had without swapping; a container's own limit counts, which the machine's figure ignores."""
    free = psutil.virtual_memory().available
    with suppress(OSError, ValueError):  # no such limit, or "max"
        limit, used = (int((_GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        free = min(free, max(limit - used, 0))
    return free


def readable(size: float) -> str:
    """1536 as '1.5 KiB'."""
    power = 0
    while size >= 1024 and power < len(_UNITS) - 1:
        size, power = size / 1024, power + 1
    return f"{size:.4g} {_UNITS[power]}"
