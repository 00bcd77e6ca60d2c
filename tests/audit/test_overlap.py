"""What an unfinished or doubtful reading leaves open."""

from typing import Any

import pytest

from gonogo.audit.overlap import Overlap, Print, Side
from gonogo.audit.samples import Reading, Samples


def side(seen: int, of: int, failed: int = 0, stable: bool = True) -> Side:
    source = Samples(of, None, lambda: iter(()))
    reading = Reading(source, 1.0, 0)
    reading.seen, reading.failed, reading.complete = seen, failed, seen + failed == of
    return Side("any", source, reading, stable=stable)


def share(train: Side, held: Side, hits: int = 0) -> Any:
    matches = {n: (n, Print(n, b"", b""), None) for n in range(hits)}
    return Overlap(train, held, matches).share(rich=True)


def test_two_full_readings_leave_nothing_open() -> None:
    found = share(side(100, 100), side(50, 50), hits=5)
    assert (found.value, found.low, found.high, found.n) == (0.1, None, None, 50)


def test_half_of_train_leaves_as_many_matches_open_as_were_found() -> None:
    found = share(side(50, 100), side(50, 50), hits=5)
    assert (found.low, found.high) == (0.1, pytest.approx(0.2))


def test_part_of_the_held_out_samples_gives_an_interval_around_the_share() -> None:
    found = share(side(100, 100), side(50, 500), hits=5)
    assert found.low < 0.1 < found.high < 0.25


def test_unreadable_samples_may_all_be_shared() -> None:
    assert share(side(100, 100), side(45, 50, failed=5)).high == pytest.approx(0.1)


def test_samples_that_change_leave_everything_open() -> None:
    assert share(side(100, 100, stable=False), side(50, 50)).high == 1
    assert share(side(100, 100), side(50, 50, stable=False)).high == 1


def test_nothing_read_is_nothing_known() -> None:
    found = share(side(0, 100, failed=100), side(50, 50))
    assert (found.low, found.high) == (0, 1)
