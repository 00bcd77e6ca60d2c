"""The recording of a subject: what checks of it read, and what their faults change."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from gonogo.errors import NotApplicable
from gonogo.training.recording import Event, Recording
from gonogo.training.subject import Subject


def recorded(subject: Subject) -> Recording:
    """What was seen of its training.

    Raises:
        NotApplicable: It took no optimizer step: `watch.seen` alone has something to say.
    """
    recording = _of(subject)
    if not recording.steps:
        raise NotApplicable("no optimizer step was seen")
    return recording


def _of(subject: Subject) -> Recording:
    return subject.recording or Recording(())


def edited(subject: Subject, change: Callable[[dict[str, Any]], Iterable[Event] | Event | None]) -> Subject:
    """A copy, in whose recording each event became what `change` makes of it: another one, several, or none."""
    return replace(subject, recording=_of(subject).edited(change))


def altered(subject: Subject, kind: str, **fields: Any) -> Subject:
    """A copy, in whose recording all events of that kind have these fields."""
    return edited(subject, lambda event: {**event, **fields} if event["kind"] == kind else event)


def followed(subject: Subject, *events: Event) -> Subject:
    """A copy, whose recording has these events at its end."""
    return replace(subject, recording=Recording((*_of(subject).events, *events)))
