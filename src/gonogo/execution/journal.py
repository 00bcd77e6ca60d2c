"""Results as they come, one JSON line each, on disk before the next check starts."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gonogo.core.plan import Skip
from gonogo.core.redact import redact
from gonogo.core.report import Result, result_from_dict, result_to_dict
from gonogo.errors import ProfileError

NAME = "journal.jsonl"


class Journal:
    """The growing record of one run."""

    def __init__(self, folder: Path, head: Mapping[str, Any], *, resume: bool) -> None:
        self.path = folder / NAME
        self.done = _finished(self.path, redact(head)) if resume else {}
        self._file = self.path.open("a" if resume else "w", encoding="utf-8")
        if not self.done:
            self._file.truncate(0)
            self._write({"run": head})

    def add(self, result: Result) -> None:
        """Append a result; it is on disk when this returns. What a continued run must try again is left out."""
        if result.skip not in (Skip.INTERRUPTED, Skip.OVER_BUDGET):
            self._write({"result": result_to_dict(result)})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(redact(line), allow_nan=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def _finished(path: Path, head: Any) -> dict[str, Result]:
    """Results of an earlier run with the same head, by id; a torn last line is left out."""
    if not path.is_file():
        raise ProfileError(f"--resume: there is no {path}; give the folder of the run with --out")
    lines = [parsed for line in path.read_text(encoding="utf-8").splitlines() if (parsed := _parse(line))]
    if not lines:
        return {}
    was = lines[0].get("run", {})
    for key, value in head.items():
        if was.get(key) != value:
            raise ProfileError(
                f"--resume: {path} belongs to another run: its {key} is {was.get(key)!r}, now it is {value!r}; "
                "repeat the command of that run, or start a new one without --resume"
            )
    rows = (line["result"] for line in lines[1:] if "result" in line)
    return {result.id: result for result in map(result_from_dict, rows)}


def _parse(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except ValueError:
        return None
