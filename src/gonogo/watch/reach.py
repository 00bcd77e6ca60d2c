"""Which parameters gradients reach, and which optimizers they are in. Pure reading, no torch."""

import re

from gonogo.training.recording import Event, Recording
from gonogo.watch.evidence import Row

PATIENCE = 20  # steps after which a module must have been called
_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")  # a place in a list: layers.3, and not fc3


def share(rows: list[Row], total: int) -> float:
    """Of all elements, those of these parameters."""
    return sum(row.elements for row in rows) / total if total else 0.0


def without_own(held: dict[int, Event], stepping: set[int]) -> int:
    """Optimizers that hold nothing which another one does not hold too."""
    return sum(number in stepping and event.get("own") == 0 for number, event in held.items())


def unused_gradient(row: Row, stepping: set[int]) -> bool:
    """Did it get a gradient that no optimizer uses?"""
    return row.trainable and bool(row.moved) and row.optimizer not in stepping


def unreached(rows: list[Row], recording: Recording) -> list[Row]:
    """Those without a gradient, leaving out siblings (layers, experts) of one that has, and modules not yet called."""
    reached = {_NUMBER.sub("#", row.name) for row in rows if row.reached and _NUMBER.search(row.name)}
    compiled = bool(recording.of("compile"))
    return [
        row
        for row in rows
        if not row.reached
        and _NUMBER.sub("#", row.name) not in reached
        and (row.called or (recording.steps >= PATIENCE and not compiled))
    ]
