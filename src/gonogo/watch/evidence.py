"""What the events of a recording mean together: passes, evaluations, parameters. Pure reading, no torch."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gonogo.core.measurement import Evidence, Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Event, Recording


@dataclass
class Pass:
    """One pass over a loader, with what happened before the next batch came from elsewhere."""

    number: int
    loader: int
    batches: int = 0
    complete: bool = False
    order: int = 0
    indices: int = 0
    ascending: bool = False
    first: int | None = None  # a digest of its first samples
    waited: float = 0.0
    closed: bool = False
    line: str = ""  # of the script, that reads it
    calls: list[Event] = field(default_factory=list)
    backwards: list[Event] = field(default_factory=list)

    @property
    def trains(self) -> bool:
        """Did its batches lead to gradients?"""
        return bool(self.backwards)


def passes(recording: Recording) -> list[Pass]:
    """All passes, in the order in which they began."""
    found: dict[int, Pass] = {}
    for event in recording.of("fetch", "pass", "call", "backward"):
        number = event.get("pass")
        if number is None:
            continue
        if number not in found:
            found[number] = Pass(number, event.get("loader", -1))
        _enter(found[number], event)
    return [found[number] for number in sorted(found)]


def _enter(one: Pass, event: Event) -> None:
    if event["kind"] == "call":
        one.calls.append(event)
    elif event["kind"] == "backward":
        one.backwards.append(event)
    else:
        one.loader = event["loader"]
        one.batches = max(one.batches, event.get("batch", event.get("batches", 0)))
        one.line = one.line or event.get("line") or ""
    if event["kind"] == "pass":
        one.closed, one.complete, one.waited = True, event["complete"], event["waited"]
        one.order, one.indices, one.ascending = event["order"], event["indices"], event["ascending"]
        one.first = event.get("first")


def loaders(recording: Recording) -> dict[int, Event]:
    """What each loader says of itself, by its number."""
    return {event["loader"]: event for event in recording.of("loader")}


def trained(recording: Recording) -> set[int]:
    """The numbers of the models that an optimizer which steps has in hand."""
    stepping = {event["optimizer"] for event in recording.of("step")}
    return {number for number, rows in parameters(recording).items() if any(row.optimizer in stepping for row in rows)}


def evaluations(recording: Recording) -> list[Pass]:
    """Passes over other data than is trained on, into which nothing else came: no other batch, no backward, no step."""
    return [one for on_training_data, one in _looks(recording) if not on_training_data]


def rehearsals(recording: Recording) -> list[Pass]:
    """The same over data that is trained on, in evaluation mode and with a loss function."""
    scored = {event["pass"] for event in recording.of("scored")}
    return [
        one
        for on_training_data, one in _looks(recording)
        if on_training_data and one.number in scored and not any(call["training"] or call["grad"] for call in one.calls)
    ]


def _looks(recording: Recording) -> Iterator[tuple[bool, Pass]]:
    """(is it data that is trained on, pass) for all that evaluate."""
    found, told = passes(recording), loaders(recording)
    trained_on = {told[one.loader]["dataset"] for one in found if one.trains and one.loader in told}
    apart = _undisturbed(recording)
    for one in found:
        if one.closed and one.calls and not one.trains and one.number in apart and one.loader in told:
            yield told[one.loader]["dataset"] in trained_on, one


def _undisturbed(recording: Recording) -> set[int]:
    """Passes that were read in one go; a training pass may have been under way when they began."""
    reading, seen, disturbed = 0, set[int](), set[int]()  # passes are numbered from 1
    for event in recording.of("fetch", "pass", "backward", "step"):
        number = event.get("pass") or 0
        if event["kind"] in ("backward", "step"):
            disturbed.add(reading)
        elif event["kind"] == "pass":
            reading = 0 if reading == number else reading
        else:
            if number != reading and number in seen:
                disturbed.add(number)  # something else came in between
            reading = number
            seen.add(number)
    return seen - disturbed


@dataclass(frozen=True)
class Row:
    """What became of one parameter."""

    name: str
    number: int
    elements: int
    trainable: bool
    optimizer: int
    reached: int  # looks at which it had a gradient
    moved: int  # did it ever have one that was not zero?
    called: bool  # did its module take part in a forward pass?


def parameters(recording: Recording) -> dict[int, list[Row]]:
    """The parameters of each model, as they were last told."""
    last = {event["model"]: event["parameters"] for event in recording.of("model")}
    return {number: [Row(*row) for row in rows] for number, rows in last.items() if rows}


def steps_of(recording: Recording) -> dict[int, list[Event]]:
    """The steps of each optimizer."""
    return recording.by("optimizer", "step")


def lines(events: Iterable[Event], most: int = 2) -> str:
    """The lines of the script from which these came, the usual ones first: 'train.py:95, train.py:120'."""
    found = Counter(line for event in events if (line := event.get("line")))
    return ", ".join(line for line, _ in found.most_common(most))


def optimizers(recording: Recording) -> Table:
    """Where the script makes its optimizers, and where it has them step."""
    steps = steps_of(recording)
    rows = [
        (event["optimizer"], event.get("name"), event.get("line"), lines(steps.get(event["optimizer"], [])))
        for event in recording.of("optimizer")
    ]
    return Table("Optimizers", ("optimizer", "class", "made at", "stepped at"), tuple(rows))


def observed(measured: Mapping[str, Measurement], tables: Iterable[Table] = ()) -> Observation:
    """An observation of the real script, in its first steps."""
    return Observation(measured, tuple(tables), Evidence.SCALED)


def enough(events: list[Any], least: int, what: str) -> None:
    """Refuse to judge on too little.

    Raises:
        NotApplicable: There are fewer than `least`.
    """
    if len(events) < least:
        raise NotApplicable(f"{len(events)} {what} were seen; {least} are needed")
