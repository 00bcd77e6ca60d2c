"""Allocations and releases as plain data, and what can be read from them: the peak, its moment and its owners."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from gonogo.sizing.card.allocator import Allocator, Block, OutOfMemory, rounded

Answer = Literal["fits", "retries", "out of memory"]


@dataclass(frozen=True, slots=True)
class Allocation:
    """One request; size in bytes as requested."""

    size: int
    operator: str
    phase: str
    module: str
    stream: int = 0


@dataclass(frozen=True, slots=True)
class Peak:
    """The moment of most live bytes: what asked for the last of them, and what they are."""

    bytes: int
    at: int  # index of the event
    cause: Allocation
    kinds: dict[str, int]
    modules: dict[str, int]


@dataclass(frozen=True, slots=True)
class Fit:
    """What a card of a capacity answers."""

    answer: Answer
    capacity: int | None
    allocated: int  # peak, bytes
    reserved: int  # peak, bytes
    retries: int = 0
    cause: Allocation | None = None  # what ran out of memory


@dataclass(slots=True)
class History:
    """Events in order: n for the n-th allocation, ~n for its release.

    Attributes:
        kinds: What allocations are, where that is known: weights, gradients, optimizer, activations, ...
        marks: (index of an event, label): where steps and phases begin.
        operators: Operators seen.
        now, most: Bytes in use, and the most so far.
    """

    allocations: list[Allocation] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    kinds: dict[int, str] = field(default_factory=dict)
    marks: list[tuple[int, str]] = field(default_factory=list)
    operators: int = 0
    live: set[int] = field(default_factory=set)
    now: int = 0
    most: int = 0

    def allocate(self, size: int, operator: str, phase: str, module: str, stream: int = 0) -> int:
        """Note an allocation; its number."""
        number = len(self.allocations)
        self.allocations.append(Allocation(size, operator, phase, module, stream))
        self.events.append(number)
        self.live.add(number)
        self.now += rounded(size)
        self.most = max(self.most, self.now)
        return number

    def release(self, number: int) -> None:
        """Note that it was given back; a second time means nothing."""
        if number in self.live:
            self.live.discard(number)
            self.events.append(~number)
            self.now -= rounded(self.allocations[number].size)

    def mark(self, label: str) -> None:
        """Say what begins here."""
        self.marks.append((len(self.events), label))

    def kind(self, number: int) -> str:
        """What an allocation is."""
        return self.kinds.get(number, "temporaries")

    def live_bytes(self) -> Iterator[int]:
        """Bytes in use after each event."""
        now = 0
        for event in self.events:
            size = rounded(self.allocations[max(event, ~event)].size)
            now += size if event >= 0 else -size
            yield now

    def course(self, points: int = 400) -> Iterator[tuple[int, int]]:
        """(event, live bytes) with the most of each stretch: a picture's worth."""
        course = list(self.live_bytes())
        stretch = max(1, len(course) // points)
        for start in range(0, len(course), stretch):
            part = course[start : start + stretch]
            yield start + part.index(max(part)), max(part)

    def peak(self) -> Peak:
        """The moment of most live bytes."""
        at, most = max(enumerate(self.live_bytes()), key=lambda pair: pair[1], default=(0, 0))
        kinds: Counter[str] = Counter()
        modules: Counter[str] = Counter()
        for number in self.live_at(at):
            size = rounded(self.allocations[number].size)
            kinds[self.kind(number)] += size
            modules[self.allocations[number].module] += size
        cause = self.allocations[self.events[at]] if self.events else Allocation(0, "", "", "")
        return Peak(most, at, cause, dict(kinds.most_common()), dict(modules.most_common()))

    def live_at(self, at: int) -> set[int]:
        """Numbers of the allocations in use after the event `at`."""
        live: set[int] = set()
        for event in self.events[: at + 1]:
            live.add(event) if event >= 0 else live.discard(~event)
        return live

    def fit(self, capacity: int | None = None) -> Fit:
        """Play it on a card of `capacity` bytes."""
        card, blocks = Allocator(capacity), dict[int, Block]()
        for event in self.events:
            if event < 0:
                card.free(blocks.pop(~event))
                continue
            wanted = self.allocations[event]
            try:
                blocks[event] = card.malloc(wanted.size, wanted.stream)
            except OutOfMemory:
                refused = Fit("out of memory", capacity, card.peak_allocated, card.peak_reserved, card.retries)
                return replace(refused, cause=wanted)
        answer: Answer = "retries" if card.retries else "fits"
        return Fit(answer, capacity, card.peak_allocated, card.peak_reserved, card.retries)
