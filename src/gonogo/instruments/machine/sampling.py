"""The machine looked at now and then while something runs: processor, memory, disk, accelerator.

with Sampler(folder) as sampler:
    train()
sampler.peak("resident")
"""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import psutil
import torch

from gonogo.core.criterion import number
from gonogo.core.measurement import Table

EVERY = 0.5  # seconds: a sample takes less than a thousandth of that


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look.

    Attributes:
        seconds: Since the start.
        processor: Load of this process and its children, in processors.
        resident: Memory of this process, bytes.
        system: Memory in use on the whole machine, bytes.
        disk: Space in use on the disk of the folder, bytes.
        gpu: Memory that torch holds on its device, bytes; 0 without one.
        gpu_load: Share of time in which the device was busy; None where that cannot be asked.
    """

    seconds: float
    processor: float
    resident: int
    system: int
    disk: int
    gpu: int = 0
    gpu_load: float | None = None

    def words(self) -> dict[str, str]:
        """The same for people: `{"resident": "1.2 GB", ...}`."""
        units = {"seconds": "s", "processor": "{processor}", "gpu_load": "1"}
        found = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: number(value, units.get(name, "By")) for name, value in found.items()}


class Sampler:
    """Takes a snapshot at the start, every some seconds, and at the end; stops whatever happens within."""

    def __init__(self, folder: Path | None = None, every: float = EVERY) -> None:
        self.every = every
        self.snapshots: list[Snapshot] = []
        self._folder = folder or Path.cwd()
        self._process = psutil.Process()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._begun = self._seen = 0.0
        self._used = 0.0

    def start(self) -> "Sampler":
        """Begin; a second start before a stop is refused."""
        if self._thread is not None:
            raise RuntimeError("this sampler runs already; stop() it first, or make another")
        self.snapshots.clear()
        self._ended.clear()
        self._begun = self._seen = time.monotonic()
        self._used = self._cpu_seconds()
        self._look()
        self._thread = threading.Thread(target=self._run, name="gonogo-sampler", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> tuple[Snapshot, ...]:
        """End with one last look; all snapshots. Does nothing where it has ended."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join()
            self._thread = None
            self._look()
        return tuple(self.snapshots)

    def __enter__(self) -> "Sampler":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def peak(self, name: str) -> float:
        """The largest value of one field of the snapshots.

        Raises:
            ValueError: There is no such field.
        """
        known = [field.name for field in fields(Snapshot)]
        if name not in known:
            raise ValueError(f"no snapshot has a field {name!r}; it has: {', '.join(known)}")
        return max((value for one in self.snapshots if (value := getattr(one, name)) is not None), default=0.0)

    def tables(self) -> tuple[Table, Table]:
        """Use over time, a table for each unit: one axis cannot hold both."""
        processors = tuple((one.seconds, one.processor) for one in self.snapshots)
        columns = ("second", "memory of the run (MB)", "GPU memory (MB)")
        memory = [(one.seconds, one.resident / 1e6, one.gpu / 1e6) for one in self.snapshots]
        shown = 3 if any(one.gpu for one in self.snapshots) else 2
        return (
            Table("Memory over time", columns[:shown], tuple(row[:shown] for row in memory), kind="line"),
            Table("Processors over time", ("second", "processors"), processors, kind="line"),
        )

    def _run(self) -> None:
        while not self._ended.wait(self.every):
            self._look()

    def _look(self) -> None:
        with contextlib.suppress(psutil.Error, OSError):
            now, used = time.monotonic(), self._cpu_seconds()
            gap = now - self._seen
            load = (used - self._used) / gap if gap > 0.01 else (self.snapshots[-1].processor if self.snapshots else 0)
            self._seen, self._used = now, used
            held = self._process.memory_info().rss
            disk = shutil.disk_usage(self._folder).used
            memory = psutil.virtual_memory()
            at = round(now - self._begun, 3)
            self.snapshots.append(Snapshot(at, load, held, memory.total - memory.available, disk, *_gpu()))

    def _cpu_seconds(self) -> float:
        times: Any = self._process.cpu_times()
        return times.user + times.system + times.children_user + times.children_system


def _gpu() -> tuple[int, float | None]:
    if not (torch.cuda.is_available() and torch.cuda.is_initialized()):
        return 0, None
    return torch.cuda.memory_reserved(), _quietly(lambda: torch.cuda.utilization() / 100)


def _quietly(ask: Callable[[], float]) -> float | None:
    try:
        return ask()
    except Exception:  # the driver's own library is optional, and may refuse
        return None
