"""Held-out samples that also occur in training: exact matches of the input, and of the place in the data set."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from torch import Tensor

from gonogo.audit import fields, samples
from gonogo.audit.apart import apart
from gonogo.audit.capacity import Alphabet
from gonogo.audit.fingerprints import Unreadable, fingerprint
from gonogo.audit.intervals import wilson
from gonogo.audit.samples import Origin, Reading, Samples
from gonogo.core.measurement import Cell, Measurement
from gonogo.training.claims import Claims
from gonogo.training.session import Session

_LEARNED = 64  # samples from which the alphabet of a field is learned
_REPEATED = 8  # samples that are read twice to see whether they stay the same


@dataclass(slots=True)
class Print:
    """A sample in a few bytes: input and target as fingerprints."""

    position: int
    input: bytes
    target: bytes
    rich: bool = True


@dataclass(slots=True)
class Side:
    """What was read of one split."""

    name: str
    samples: Samples
    reading: Reading
    unreadable: int = 0
    stable: bool = True
    inputs: set[bytes] = field(default_factory=set)
    counted: int | None = None  # where samples that are tuples hold nothing but their own position

    @property
    def read(self) -> int:
        return self.reading.seen - self.unreadable

    @property
    def failed(self) -> int:
        return self.reading.failed + self.unreadable

    def bare(self, sample: Any) -> Any:
        """The sample without the number that only says which one it is."""
        if self.counted is None or not isinstance(sample, tuple | list) or len(sample) <= self.counted:
            return sample
        rest = [part for place, part in enumerate(sample) if place != self.counted]
        return rest[0] if len(rest) == 1 else rest

    def row(self) -> tuple[Cell, ...]:
        """The row of the table that says what was read."""
        total = self.samples.count if not self.reading.complete else self.read + self.failed
        return self.name, self.read, total, self.failed, "the same" if self.stable else "another"


@dataclass(slots=True)
class Overlap:
    """Matches between one held-out split and train."""

    train: Side
    held: Side
    found: dict[int, tuple[int, Print, Print | None]] = field(default_factory=dict)
    comparable: bool = False  # transforms of train cannot hide a match: held-out samples are too far from all of train

    @property
    def unanswered(self) -> str | None:
        """Why nothing can be said, if so."""
        for side in (self.train, self.held):
            if side.reading.complete and not side.read:
                return f"the samples of {side.name} cannot be taken out of its batches"
            if not side.stable and not self.comparable and not self.found:
                return f"the samples of {side.name} are drawn or changed anew at each reading"
        return None

    def share(self, rich: bool) -> Measurement:
        """The share of held-out samples found in train, of many bits or of few; unread parts widen the interval."""
        hits = sum(match.rich is rich for _, match, _ in self.found.values())
        n = self.held.read
        value = hits / n if n else 0.0
        low, high = (value, value) if self.held.reading.complete and n else wilson(hits, n)
        known = (self.train.reading.share or 0.0) * self.train.read / max(self.train.read + self.train.failed, 1)
        high += self.held.failed / max(n + self.held.failed, 1)
        high = min(1.0, high / known) if known else 1.0
        if not (self.train.stable and self.held.stable) and not self.comparable:
            high = 1.0
        return Measurement(value, low=low, high=high, n=n) if high > low else Measurement(value, n=n)


def find(session: Session, name: str, *, seconds: float, min_bits: float) -> Overlap:
    """Which samples of the split `name` occur in train; reads for at most `seconds`."""
    held = _side(session, name, seconds / 3)
    by_input: dict[bytes, list[Print]] = {}
    by_origin: dict[Origin, Print] = {}
    for item in _prints(held, session.claims, min_bits):
        by_input.setdefault(item.input, []).append(item)
        if held.samples.origin:
            by_origin[held.samples.origin(item.position)] = item
    train = _side(session, "train", 2 * seconds / 3)
    overlap = Overlap(train, held)
    for item in _prints(train, session.claims, None):
        for match in by_input.get(item.input, ()):
            overlap.found.setdefault(match.position, (item.position, match, item))
    _match_origins(overlap, by_origin, time.monotonic() + seconds / 10)
    for side in (train, held):
        _see_whether_stable(side, session)
    if not train.stable and not overlap.found:
        overlap.comparable = apart(train.samples, held.samples, session.claims, seed=session.seed, seconds=seconds / 4)
    return overlap


def _match_origins(overlap: Overlap, by_origin: dict[Origin, Print], end: float) -> None:
    """One index of one data set in both splits is one sample, however differently it is augmented each time."""
    origin, count = overlap.train.samples.origin, overlap.train.samples.count
    if origin is None or count is None:
        return
    for position in range(count):
        match = by_origin.get(origin(position))
        if match is not None:
            overlap.found.setdefault(match.position, (position, match, None))
        if time.monotonic() > end:
            return


def _side(session: Session, name: str, seconds: float) -> Side:
    source = samples.of_split(session, name, raw=True)
    return Side(name, source, Reading(source, seconds, session.seed))


def _prints(side: Side, claims: Claims, min_bits: float | None) -> Iterator[Print]:
    reading = iter(side.reading)
    head = list(islice(reading, _LEARNED))
    side.counted = _counted(head, claims)
    alphabet = Alphabet(fields.roles(side.bare(sample), claims).input for _, sample in head)
    for position, read in chain(head, reading):
        sample = side.bare(read)
        item = _print(position, sample, claims)
        if item is None:
            side.unreadable += 1
            continue
        if min_bits is not None:
            item.rich = alphabet.capacity(fields.roles(sample, claims).input) >= min_bits
        side.inputs.add(item.input)
        yield item


def _counted(head: Sequence[tuple[int, Any]], claims: Claims) -> int | None:
    """The place in tuples that holds the position of the sample, every time."""
    samples = [(position, sample) for position, sample in head if isinstance(sample, tuple | list)]
    if len(samples) < _REPEATED or len(samples) < len(head) or claims.target is not None:
        return None
    for place in range(min(len(sample) for _, sample in samples)):
        numbers = [(position, _whole(sample[place])) for position, sample in samples]
        if all(position == number for position, number in numbers):
            return place
    return None


def _whole(value: Any) -> int | None:
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_floating_point():
        return int(value)
    return value if isinstance(value, int) else None


def _print(position: int, sample: Any, claims: Claims) -> Print | None:
    parts = fields.roles(sample, claims)
    if isinstance(parts.input, dict | list) and not parts.input:
        return None  # nothing is left to compare
    try:
        return Print(position, fingerprint(parts.input), fingerprint(parts.target))
    except Unreadable:
        return None


def _see_whether_stable(side: Side, session: Session) -> None:
    """Augmented samples never match: without this probe they would be a false all-clear."""
    if side.samples.read is None and not side.reading.complete:
        return  # what a second pass shows first may simply not have been reached; the interval is open anyway
    positions = side.reading.positions[:_REPEATED]
    for sample in samples.again(side.samples, positions, session.seed + 1):
        item = _print(0, side.bare(sample), session.claims) if sample is not samples.UNREADABLE else None
        if item is not None and item.input not in side.inputs:
            side.stable = False
