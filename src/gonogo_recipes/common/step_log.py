"""The training log: JSON lines, one per step, without gaps or repeats however often training was killed."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from gonogo_recipes.common import checkpoint


class StepLog:
    """Appends lines; opened at a step, it first drops what a killed run wrote beyond that step."""

    def __init__(self, path: Path, step: int) -> None:
        kept = [line for line in lines(path) if line.get("step", 0) <= step] if step else []
        text = "".join(f"{json.dumps(line)}\n" for line in kept)
        checkpoint.replace(path, lambda file: file.write(text.encode()))
        self._file: TextIO = path.open("a", encoding="utf-8")

    def __enter__(self) -> "StepLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, line: Mapping[str, Any]) -> None:
        """Append a line; a number that is none (NaN, infinity) becomes null, as strict JSON wants it."""
        self._file.write(f"{json.dumps(_strict(line), allow_nan=False)}\n")
        self._file.flush()

    def to_disk(self) -> None:
        """Lines before a checkpoint must be on the disk before it is: it says that they are there."""
        os.fsync(self._file.fileno())


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a log; a last line that a kill cut off is left out."""
    if not path.is_file():
        return
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _strict(each) for key, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
