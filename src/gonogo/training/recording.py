"""What was seen of a training script: events in their order, small numbers only. No torch."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gonogo.errors import SubjectError

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Recording:
    """Events of one process; `kind` says what happened, `step` after how many optimizer steps, `at` when (s)."""

    events: tuple[Event, ...]

    def of(self, *kinds: str) -> list[Event]:
        """The events of these kinds, in order."""
        return [event for event in self.events if event["kind"] in kinds]

    def last(self, kind: str) -> Event | None:
        """The last event of a kind."""
        return next((event for event in reversed(self.events) if event["kind"] == kind), None)

    def by(self, key: str, *kinds: str) -> dict[Any, list[Event]]:
        """The events of these kinds, by the value of a field."""
        found: dict[Any, list[Event]] = {}
        for event in self.of(*kinds):
            found.setdefault(event.get(key), []).append(event)
        return found

    @property
    def steps(self) -> int:
        """Optimizer steps that were seen."""
        return len(self.of("step"))

    @property
    def ended_by_itself(self) -> bool:
        """Did the script reach its own end, without error and without being stopped?"""
        end = self.last("end")
        return end is not None and end["how"] == "exit"

    def edited(self, change: Callable[[dict[str, Any]], Iterable[Event] | Event | None]) -> "Recording":
        """A copy in which each event became what `change` makes of it: another one, several, or none."""
        return Recording(tuple(new for event in self.events for new in _events(change(dict(event)))))


def _events(made: Any) -> tuple[Event, ...]:
    if made is None:
        return ()
    return (made,) if isinstance(made, dict) else tuple(made)


def read(path: Path) -> Recording:
    """The recording in a file of JSON lines; a torn last line is left out.

    Raises:
        SubjectError: It is no such file.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise SubjectError(f"recording: {path} cannot be read ({error.strerror})") from None
    return Recording(tuple(event for line in lines if (event := _parsed(line)) is not None))


def _parsed(line: str) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "kind" in event else None


def chosen(folder: Path) -> Recording:
    """Of the processes that wrote into a folder, the one that trained: the first rank with the most steps."""
    found = [read(path) for path in sorted(folder.glob("*.jsonl"))]
    return max(found, key=_weight, default=Recording(()))


def errors(folder: Path) -> list[str]:
    """The errors with which processes ended, and where; first the first, which may have led to the others."""
    paths = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    ends = [read(path).last("end") or {} for path in paths]
    return [f"{end['error']} ({end['where']})" for end in ends if end.get("how") == "error"]


def trained(folder: Path) -> int:
    """How many processes took optimizer steps."""
    return sum(read(path).steps > 0 for path in folder.glob("*.jsonl"))


def _weight(recording: Recording) -> tuple[int, int, int]:
    begin = recording.last("begin") or {}
    return min(recording.steps, 1), -int(begin.get("rank", 0)), recording.steps
