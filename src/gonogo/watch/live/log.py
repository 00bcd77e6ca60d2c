"""The log of a watch: JSON lines in files of bounded size, which a resumed training continues."""

import json
import math
import threading
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import IO, Any

_WRITTEN: set[Path] = set()  # folders in use by this process, which locks hold against others only


class Log:
    """`log.jsonl`, older parts in `log.1.jsonl` and so on; the `kind` of a line says what it holds."""

    def __init__(self, folder: Path, size: int, files: int) -> None:
        self.folder, self.size, self.files = folder, size, files
        self._lock = threading.Lock()
        self._lock_file: IO[str] | None = None

    def begin(self, step: int | None) -> list[dict[str, Any]]:
        """What was logged up to `step`, where the training goes on; None: where the log ends, unless it is complete.

        Lines of later steps will be written anew; they move to `superseded.jsonl`, and nothing is there twice. Where
        another training, of this process or not, is writing here, a folder of its own is taken beside it.
        """
        self._own_folder()
        lines = [line for path in reversed(self._parts()) for line in _lines(path)]
        step = _last(lines) if step is None else step
        if any(line["step"] > step or step == 0 for line in lines):
            self._supersede(step)
        elif self.path.exists():
            self._mend()
        return [line for line in lines if step > 0 and line["step"] <= step]

    def write(self, kind: str, step: int, **fields: Any) -> None:
        """Add a line; it is with the system when this returns."""
        line = json.dumps({"kind": kind, "step": step, **{name: plain(value) for name, value in fields.items()}}) + "\n"
        with self._lock:
            if self.path.exists() and self.path.stat().st_size + len(line) > self.size:
                self._rotate()
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)

    def end(self) -> None:
        """Leave the folder to others."""
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None
            _WRITTEN.discard(self.folder)

    def _own_folder(self) -> None:
        asked = self.folder = self.folder.absolute()
        for number in count(2):
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.folder not in _WRITTEN and (file := _lock(self.folder / ".lock")) is not None:
                self._lock_file = file
                _WRITTEN.add(self.folder)
                return
            self.folder = asked.with_name(f"{asked.name}-{number}")

    @property
    def path(self) -> Path:
        """The file that is written."""
        return self.folder / "log.jsonl"

    def _parts(self) -> list[Path]:
        """Newest first."""
        return [path for path in (self.path, *map(self._old, range(1, self.files))) if path.exists()]

    def _old(self, number: int) -> Path:
        return self.folder / f"log.{number}.jsonl"

    def _rotate(self) -> None:
        for number in range(self.files - 1, 1, -1):
            if self._old(number - 1).exists():
                self._old(number - 1).replace(self._old(number))
        if self.files > 1:
            self.path.replace(self._old(1))
        else:
            self.path.unlink()

    def _supersede(self, step: int) -> None:
        gone: list[dict[str, Any]] = []
        for path in reversed(self._parts()):
            lines = _lines(path)
            gone += [line for line in lines if step == 0 or line["step"] > step]
            _replace(path, [line for line in lines if step > 0 and line["step"] <= step])
        _replace(self.folder / "superseded.jsonl", gone)

    def _mend(self) -> None:
        """End a line that a killed process left torn."""
        text = self.path.read_bytes()
        if text and not text.endswith(b"\n"):
            _replace(self.path, _lines(self.path))


def _lock(path: Path) -> IO[str] | None:
    """The open file, if it is ours now. The system takes it back when this process ends; children do not inherit it."""
    file = path.open("w")
    try:
        import fcntl

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        file.close()
        return None
    except (ImportError, OSError):  # a system or a file system without locks
        pass
    return file


def plain(value: Any) -> Any:
    """JSON has no nan."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return value


def read(folder: Path) -> list[dict[str, Any]]:
    """All lines of the log in a folder, oldest first."""
    old = sorted(folder.glob("log.*.jsonl"), key=lambda path: -int(path.name.split(".")[1]))
    return [line for path in (*old, folder / "log.jsonl") if path.exists() for line in _lines(path)]


def _last(lines: list[dict[str, Any]]) -> int:
    ended = bool(lines) and lines[-1]["kind"] == "end"
    return 0 if ended else max((line["step"] for line in lines), default=0)


def _lines(path: Path) -> list[dict[str, Any]]:
    found = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # torn by a kill
        if isinstance(line, dict) and isinstance(line.get("step"), int) and "kind" in line:
            found.append(line)
    return found


def _replace(path: Path, lines: list[dict[str, Any]]) -> None:
    if not lines:
        path.unlink(missing_ok=True)
        return
    new = path.with_name(path.name + ".new")
    new.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    new.replace(path)
