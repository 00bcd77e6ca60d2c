"""The recording of a subject: what checks of it read, and what their faults change."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from gonogo.training.recording import Event, Recording
from gonogo.training.subject import Subject


def recorded(subject: Subject) -> Recording:
    """What was seen of it, nothing if it was not watched."""
    return subject.recording or Recording(())


def edited(subject: Subject, change: Callable[[dict[str, Any]], Iterable[Event] | Event | None]) -> Subject:
    """A copy, in whose recording each event became what `change` makes of it: another one, several, or none."""
    return replace(subject, recording=recorded(subject).edited(change))


def altered(subject: Subject, kind: str, **fields: Any) -> Subject:
    """A copy, in whose recording all events of that kind have these fields."""
    return edited(subject, lambda event: {**event, **fields} if event["kind"] == kind else event)


def followed(subject: Subject, *events: Event) -> Subject:
    """A copy, whose recording has these events at its end."""
    return replace(subject, recording=Recording((*recorded(subject).events, *events)))
