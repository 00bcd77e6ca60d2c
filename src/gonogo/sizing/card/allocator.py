"""The caching allocator of torch.cuda, simulated: what a stream of allocations makes a card reserve.

Live bytes are not what fills a card. The allocator rounds, takes memory from the driver in segments, keeps what is
freed, splits and merges blocks, and gives everything unused back when the driver refuses. The rules are those that
PyTorch documents under "Memory management" for the native backend with default settings; every block address and every
segment of recorded traces is reproduced (tests/sizing/test_recorded_traces.py).
"""

import bisect
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

MIB = 1 << 20
GIB = 1 << 30
ROUNDING = 512  # bytes; every block is a multiple of it
SMALL = MIB  # requests up to here come from the small pool
SMALL_SEGMENT = 2 * MIB
LARGE_SEGMENT = 20 * MIB  # for requests below LARGE
LARGE = 10 * MIB  # requests from here on get a segment of their own, in steps of 2 MiB


class OutOfMemory(Exception):  # noqa: N818 - the field's name for it
    """The card is full even after everything unused was given back."""

    def __init__(self, size: int, reserved: int, allocated: int, capacity: int) -> None:
        super().__init__(f"{size} bytes wanted, {reserved} reserved and {allocated} allocated of {capacity}")
        self.size, self.reserved, self.allocated, self.capacity = size, reserved, allocated, capacity


@dataclass(slots=True, eq=False)
class Block:
    """A stretch of a segment; `previous` and `next` are its neighbours in the same segment."""

    address: int
    size: int
    small: bool
    stream: int
    used: bool = False
    previous: "Block | None" = None
    next: "Block | None" = None

    @property
    def whole(self) -> bool:
        """Does it fill its segment?"""
        return self.previous is None and self.next is None


@dataclass(slots=True)
class Pool:
    """Free blocks of one kind and stream, smallest first, lowest address first among equals."""

    keys: list[tuple[int, int]] = field(default_factory=list)  # (size, address)
    blocks: dict[int, Block] = field(default_factory=dict)  # by address

    def put(self, block: Block) -> None:
        """Keep a free block."""
        bisect.insort(self.keys, (block.size, block.address))
        self.blocks[block.address] = block

    def remove(self, block: Block) -> None:
        """Take that block out."""
        del self.keys[bisect.bisect_left(self.keys, (block.size, block.address))]
        del self.blocks[block.address]

    def best(self, size: int) -> Block | None:
        """Take out the smallest block that is large enough."""
        place = bisect.bisect_left(self.keys, (size, -1))
        if place == len(self.keys):
            return None
        return self.blocks.pop(self.keys.pop(place)[1])


def rounded(size: int) -> int:
    """Bytes that a request of `size` bytes occupies at least."""
    return max(ROUNDING, -(-size // ROUNDING) * ROUNDING)


def segment_size(size: int) -> int:
    """Bytes that the driver is asked for when no free block serves a rounded request."""
    if size <= SMALL:
        return SMALL_SEGMENT
    return LARGE_SEGMENT if size < LARGE else -(-size // SMALL_SEGMENT) * SMALL_SEGMENT


class Allocator:
    """A card of `capacity` bytes (None: without limit) that serves malloc and free.

    Attributes:
        allocated, reserved: Bytes in blocks in use, and in segments taken from the driver, now.
        peak_allocated, peak_reserved: Their largest values so far.
        retries: How often the driver refused until everything unused was given back.
        segments: Bytes of each segment by its address.
    """

    def __init__(self, capacity: int | None = None, *, addresses: Callable[[int], int] | None = None) -> None:
        self.capacity = capacity
        self.allocated = self.reserved = self.peak_allocated = self.peak_reserved = 0
        self.retries = self.taken = 0  # taken: segments ever
        self.segments: dict[int, int] = {}
        self._pools: dict[tuple[bool, int], Pool] = {}
        self._next = GIB
        self._addresses = addresses or self._fresh

    def malloc(self, size: int, stream: int = 0) -> Block:
        """A block for `size` bytes.

        Raises:
            OutOfMemory: Nothing unused is left, and the capacity is reached.
        """
        size = rounded(size)
        small = size <= SMALL
        block = self._pool(small, stream).best(size) or self._segment(size, small, stream)
        if block is None:
            self.retries += 1
            self.empty_cache()
            block = self._segment(size, small, stream)
        if block is None:
            raise OutOfMemory(size, self.reserved, self.allocated, self.capacity or 0)
        self._split(block, size)
        block.used = True
        self.allocated += block.size
        self.peak_allocated = max(self.peak_allocated, self.allocated)
        return block

    def free(self, block: Block) -> None:
        """Take a block back; it grows together with free neighbours."""
        block.used = False
        self.allocated -= block.size
        pool = self._pool(block.small, block.stream)
        before, after = block.previous, block.next
        if before is not None and not before.used:
            pool.remove(before)
            before.size += block.size
            before.next, block = after, before
            if after is not None:
                after.previous = block
        if after is not None and not after.used:
            pool.remove(after)
            block.size += after.size
            block.next = after.next
            if after.next is not None:
                after.next.previous = block
        pool.put(block)

    def empty_cache(self) -> None:
        """Give every segment without a block in use back to the driver."""
        for pool in self._pools.values():
            for block in [block for block in pool.blocks.values() if block.whole]:
                self.release(block)

    def release(self, block: Block) -> None:
        """Give one unused segment back to the driver."""
        self._pool(block.small, block.stream).remove(block)
        self.reserved -= self.segments.pop(block.address)

    def free_block(self, address: int) -> Block | None:
        """The free block that begins at an address."""
        return next((pool.blocks[address] for pool in self._pools.values() if address in pool.blocks), None)

    def adopt(self, blocks: list[Block]) -> None:
        """Take over a segment as it was found, its blocks in order of address."""
        for left, right in itertools.pairwise(blocks):
            left.next, right.previous = right, left
        for block in blocks:
            if block.used:
                self.allocated += block.size
            else:
                self._pool(block.small, block.stream).put(block)
        self._count(blocks[0].address, sum(block.size for block in blocks))
        self.peak_allocated = max(self.peak_allocated, self.allocated)

    def _pool(self, small: bool, stream: int) -> Pool:
        return self._pools.setdefault((small, stream), Pool())

    def _segment(self, size: int, small: bool, stream: int) -> Block | None:
        wanted = segment_size(size)
        if self.capacity is not None and self.reserved + wanted > self.capacity:
            return None
        block = Block(self._addresses(wanted), wanted, small, stream)
        self._count(block.address, wanted)
        self.taken += 1
        return block

    def _count(self, address: int, size: int) -> None:
        self.segments[address] = size
        self.reserved += size
        self.peak_reserved = max(self.peak_reserved, self.reserved)

    def _fresh(self, size: int) -> int:
        address, self._next = self._next, self._next + size + SMALL_SEGMENT
        return address

    def _split(self, block: Block, size: int) -> None:
        """Cut off what is not needed, if it is worth keeping."""
        rest = block.size - size
        if rest < ROUNDING or (not block.small and rest <= SMALL):
            return
        tail = Block(block.address + size, rest, block.small, block.stream, previous=block, next=block.next)
        if block.next is not None:
            block.next.previous = tail
        block.size, block.next = size, tail
        self._pool(block.small, block.stream).put(tail)
