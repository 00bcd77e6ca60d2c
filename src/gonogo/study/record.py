"""Trials as they come, one JSON line each: a study that was killed goes on where it was."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from gonogo.core.redact import redact
from gonogo.errors import ProfileError
from gonogo.study.design import Study, Trial

NAME = "trials.jsonl"
Key = tuple[str, int]  # variant, seed

_TRIAL = TypeAdapter(Trial)


def to_json(trial: Trial) -> str:
    """The trial as strict JSON."""
    return json.dumps(asdict(trial), allow_nan=False)


def from_json(text: str | bytes) -> Trial:
    """The trial that `to_json` wrote."""
    return _TRIAL.validate_json(text)


class Record:
    """The growing record of one study. Trials that failed are not kept: a continued study tries them again."""

    def __init__(self, folder: Path, study: Study, settings: Mapping[str, Any], *, resume: bool) -> None:
        self.path = folder / NAME
        # Seeds are no part of the head: a study may be continued with more of them.
        head = redact({"study": study.name, "variants": list(study.variants), **settings, **study.identity})
        self.done = _finished(self.path, head) if resume else {}
        folder.mkdir(parents=True, exist_ok=True)
        if not self.done:
            self.path.write_text("", encoding="utf-8")
            self._write({"head": head})

    def add(self, key: Key, trial: Trial) -> None:
        """Append a trial; it is on disk when this returns."""
        self.done[key] = trial
        if not trial.failure:
            self._write({"variant": key[0], "seed": key[1], "trial": json.loads(to_json(trial))})

    def _write(self, line: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(redact(line), allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _finished(path: Path, head: Any) -> dict[Key, Trial]:
    if not path.is_file():
        raise ProfileError(f"--resume: there is no {path}; give the folder of the study with --out")
    lines = [parsed for line in path.read_text(encoding="utf-8").splitlines() if (parsed := _parse(line))]
    was = lines[0].get("head", {}) if lines else head
    for key in {**was, **head}:
        if was.get(key) != head.get(key):
            raise ProfileError(
                f"--resume: {path} belongs to another study: "
                f"its {key} is {was.get(key)!r}, now it is {head.get(key)!r}; "
                "repeat the command of that study, or start a new one without --resume"
            )
    return {(line["variant"], line["seed"]): _TRIAL.validate_python(line["trial"]) for line in lines if "trial" in line}


def _parse(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except ValueError:  # torn by the end of the process
        return None
