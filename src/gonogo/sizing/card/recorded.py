"""A recorded history of a real card, played again on the simulated one: does every block land where it did?

A snapshot holds the state at the end of the record. The state at its start is found by walking the record backwards;
then the record is played forwards, and each address that the simulation gives is held against the one that was given.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gonogo.sizing.card.allocator import SMALL, Allocator, Block, rounded

ALLOC, FREE_REQUESTED, FREE_COMPLETED, SEGMENT_ALLOC, SEGMENT_FREE = range(5)
Event = tuple[int, int, int, int]  # action, address, bytes, stream


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment at the end of the record; blocks as (address, bytes) of those in use."""

    address: int
    size: int
    small: bool
    stream: int


def load(path: Path) -> tuple[list[Event], list[Segment], dict[int, int]]:
    """Events, segments and blocks in use of a record: an npz file of events, final_segments and final_blocks."""
    with np.load(path, allow_pickle=False) as arrays:
        events = [(int(action), int(at), int(size), int(stream)) for action, at, size, stream in arrays["events"]]
        segments = [
            Segment(int(at), int(size), bool(small), int(st)) for at, size, small, st in arrays["final_segments"]
        ]
        used = {int(at): int(size) for _, at, size, active in arrays["final_blocks"] if active}
    return events, segments, used


@dataclass(slots=True)
class Replay:
    """What the simulation did with a record."""

    allocations: int = 0
    exact: int = 0  # allocations that got the recorded address
    segments: int = 0  # recorded as newly taken
    segments_wanted: int = 0  # taken by the simulation
    peak_reserved: int = 0
    recorded_peak_reserved: int = 0
    peak_allocated: int = 0

    @property
    def address_exact(self) -> bool:
        """Did every block land where it did on the card?"""
        return self.exact == self.allocations


def replay(events: Sequence[Event], segments: Iterable[Segment], used: dict[int, int]) -> Replay:
    """Play a record; `used` are the blocks in use at its end, bytes by address."""
    first_segments, first_used = _start(events, {s.address: s for s in segments}, dict(used))
    feed = iter([address for action, address, _, _ in events if action == SEGMENT_ALLOC])
    spare = iter(range(1 << 60, 1 << 61, 1 << 40))  # for segments that the card did not need
    allocator = Allocator(addresses=lambda size: next(feed, None) or next(spare))
    live = _adopt(allocator, first_segments, first_used)
    found = Replay(segments=sum(action == SEGMENT_ALLOC for action, *_ in events))
    reserved = found.recorded_peak_reserved = allocator.reserved
    for action, address, size, stream in events:
        if action == ALLOC:
            block = allocator.malloc(size, stream)
            found.allocations += 1
            found.exact += block.address == address
            live[address] = block
        elif action == FREE_COMPLETED and address in live:
            allocator.free(live.pop(address))
        elif action == SEGMENT_ALLOC:
            reserved += size
            found.recorded_peak_reserved = max(found.recorded_peak_reserved, reserved)
        elif action == SEGMENT_FREE:
            reserved -= size
            _give_back(allocator, address)
    found.segments_wanted, found.peak_reserved = allocator.taken, allocator.peak_reserved
    found.peak_allocated = allocator.peak_allocated
    return found


def _give_back(allocator: Allocator, address: int) -> None:
    block = allocator.free_block(address)
    if block is not None and block.whole:
        allocator.release(block)


def _start(
    events: Sequence[Event], segments: dict[int, Segment], used: dict[int, int]
) -> tuple[list[Segment], dict[int, int]]:
    """Segments and blocks in use before the first event."""
    for action, address, size, stream in reversed(events):
        if action == ALLOC:
            used.pop(address, None)
        elif action == FREE_COMPLETED:
            used[address] = rounded(size)
        elif action == SEGMENT_ALLOC:
            segments.pop(address, None)
        elif action == SEGMENT_FREE:
            segments[address] = Segment(address, size, _was_small(size, address, events), stream)
    return list(segments.values()), used


def _was_small(size: int, address: int, events: Sequence[Event]) -> bool:
    """A freed segment's pool is not recorded; blocks of one pool never reach the other's size."""
    inside = [bytes_ for action, at, bytes_, _ in events if action == ALLOC and address <= at < address + size]
    return size == 2 * SMALL and all(rounded(one) <= SMALL for one in inside)


def _adopt(allocator: Allocator, segments: list[Segment], used: dict[int, int]) -> dict[int, Block]:
    live: dict[int, Block] = {}
    addresses = sorted(used)
    for segment in sorted(segments, key=lambda one: one.address):
        end = segment.address + segment.size
        inside = [at for at in addresses if segment.address <= at < end]  # few segments, so no bisection
        blocks, place = [], segment.address
        for at, following in zip(inside, [*inside[1:], end], strict=False):
            if at > place:
                blocks.append(Block(place, at - place, segment.small, segment.stream))
            size = used[at]
            if not segment.small and following - at - size <= SMALL:
                size = following - at  # too little was left to be cut off
            blocks.append(Block(at, size, segment.small, segment.stream, used=True))
            live[at], place = blocks[-1], at + size
        if place < end:
            blocks.append(Block(place, end - place, segment.small, segment.stream))
        allocator.adopt(blocks)
    return live
