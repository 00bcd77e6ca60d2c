import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.sizing.card.allocator import GIB, MIB, Allocator, OutOfMemory, rounded, segment_size

SIZES = st.integers(0, 50 * MIB)
MOVES = st.lists(st.one_of(SIZES, st.just(-1)), max_size=80)  # -1 frees the oldest


def played(moves, capacity=None):
    allocator, live = Allocator(capacity), []
    for move in moves:
        if move >= 0:
            live.append(allocator.malloc(move))
        elif live:
            allocator.free(live.pop(0))
    return allocator, live


@pytest.mark.parametrize(("size", "bytes_"), [(0, 512), (1, 512), (512, 512), (513, 1024)])
def test_sizes_are_rounded_to_512_bytes(size, bytes_):
    assert rounded(size) == bytes_


@pytest.mark.parametrize(
    ("size", "segment"),
    [(MIB, 2 * MIB), (MIB + 512, 20 * MIB), (10 * MIB - 512, 20 * MIB), (10 * MIB, 10 * MIB), (11 * MIB, 12 * MIB)],
)
def test_the_driver_is_asked_for_segments(size, segment):
    assert segment_size(size) == segment


@given(MOVES)
def test_blocks_in_use_never_overlap(moves):
    _, live = played(moves)
    ordered = sorted(live, key=lambda block: block.address)
    assert all(a.address + a.size <= b.address for a, b in itertools.pairwise(ordered))


@given(MOVES)
def test_allocated_bytes_are_those_of_the_blocks_in_use_and_within_reserved(moves):
    allocator, live = played(moves)
    assert allocator.allocated == sum(block.size for block in live) <= allocator.reserved <= allocator.peak_reserved


@given(MOVES)
def test_all_comes_back_to_the_driver_when_all_is_freed(moves):
    allocator, live = played(moves)
    for block in live:
        allocator.free(block)
    allocator.empty_cache()
    assert (allocator.allocated, allocator.reserved, allocator.segments) == (0, 0, {})


@given(MOVES)
def test_a_card_that_holds_the_peak_never_retries(moves):
    allocator, _ = played(moves)
    again, _ = played(moves, allocator.peak_reserved)
    assert (again.retries, again.peak_reserved) == (0, allocator.peak_reserved)


def test_a_freed_block_serves_the_next_request_that_fits():
    allocator = Allocator()
    block = allocator.malloc(30 * MIB)
    allocator.free(block)
    assert allocator.malloc(25 * MIB).address == block.address
    assert allocator.reserved == 30 * MIB


def test_a_rest_of_one_mebibyte_is_not_cut_off():
    allocator = Allocator()
    allocator.free(allocator.malloc(30 * MIB))
    assert allocator.malloc(29 * MIB).size == 30 * MIB


def test_streams_do_not_share_blocks():
    allocator = Allocator()
    allocator.free(allocator.malloc(30 * MIB, stream=0))
    allocator.malloc(30 * MIB, stream=1)
    assert allocator.reserved == 60 * MIB


def test_unused_segments_are_given_back_before_the_card_is_full():
    allocator = Allocator(capacity=100 * MIB)
    allocator.free(allocator.malloc(60 * MIB))
    allocator.malloc(80 * MIB)
    assert (allocator.retries, allocator.reserved) == (1, 80 * MIB)


def test_a_full_card_says_what_was_wanted_and_what_was_there():
    allocator = Allocator(capacity=GIB)
    allocator.malloc(GIB // 2)
    with pytest.raises(OutOfMemory, match="of 1073741824") as caught:
        allocator.malloc(GIB)
    assert (caught.value.size, caught.value.allocated) == (GIB, GIB // 2)
