"""What this process may use of the machine: the share that a container or a scheduler gives it, not the whole host."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

CGROUP = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60  # the first version of cgroups writes a number near 2**63


@dataclass(frozen=True, slots=True)
class Gpu:
    """One accelerator."""

    name: str
    memory: int
    free: int


@dataclass(frozen=True, slots=True)
class Machine:
    """Bytes throughout.

    Attributes:
        cores: Processors that the process may run on at once; a quota can make it a fraction.
        memory: What it may hold.
        available: What of that is free.
        disk: Size of the disk of the folder.
        disk_free: What of that is free.
        gpus: Accelerators that torch sees.
    """

    cores: float
    memory: int
    available: int
    disk: int
    disk_free: int
    gpus: tuple[Gpu, ...] = ()


def machine(folder: Path, root: Path = CGROUP) -> Machine:
    """What there is now, with the disk that holds `folder`."""
    whole, room = memory(root)
    disk = shutil.disk_usage(folder)
    return Machine(cores(root), whole, room, disk.total, disk.free, gpus())


def memory(root: Path = CGROUP) -> tuple[int, int]:
    """(all, free) bytes of memory that this process may hold."""
    host = psutil.virtual_memory()
    limit, used = memory_limit(root)
    if limit is None:
        return host.total, host.available
    return min(limit, host.total), min(host.available, max(limit - used, 0))


def cores(root: Path = CGROUP) -> float:
    """Processors of this process: its affinity, and the quota of its control group if that is less."""
    allowed = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    quota, period = _quota(root)
    return min(allowed, quota / period) if quota > 0 and period > 0 else allowed


def memory_limit(root: Path = CGROUP) -> tuple[int | None, int]:
    """(limit, used) of the control group, None without a limit. Files that can be given back are not used."""
    for limit, used, stat, field in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    ):
        most = _number(root / limit)
        if most is not None and most < _UNLIMITED:
            return most, max((_number(root / used) or 0) - _field(root / stat, field), 0)
    return None, 0


def gpus() -> tuple[Gpu, ...]:
    """The CUDA devices, empty without one."""
    if not torch.cuda.is_available():
        return ()
    found = []
    for index in range(torch.cuda.device_count()):
        free, whole = torch.cuda.mem_get_info(index)
        found.append(Gpu(torch.cuda.get_device_name(index), whole, free))
    return tuple(found)


def _quota(root: Path) -> tuple[int, int]:
    words = _read(root / "cpu.max").split()
    if len(words) == 2:
        return (int(words[0]), int(words[1])) if words[0].isdigit() else (0, 0)
    return _number(root / "cpu/cpu.cfs_quota_us") or 0, _number(root / "cpu/cpu.cfs_period_us") or 0


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdigit() else None


def _field(path: Path, name: str) -> int:
    lines = (line.split() for line in _read(path).splitlines())
    return next((int(line[1]) for line in lines if len(line) == 2 and line[0] == name), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeError):
        return ""
