"""After which step a script is ended."""

import pytest

from gonogo.watch import ending
from gonogo.watch.ending import Enough
from gonogo.watch.orders import Orders


@pytest.fixture
def clock(monkeypatch):
    """clock(seconds) lets time pass."""
    now = [100.0]
    monkeypatch.setattr(ending.time, "perf_counter", lambda: now[0])

    def passes(seconds):
        now[0] += seconds

    return passes


def test_both_steps_and_seconds_must_have_gone_by(tmp_path, clock):
    enough = Enough(Orders(tmp_path, 5, 10.0))
    assert not enough.reached(5)
    clock(11.0)
    assert not enough.reached(4)
    assert enough.reached(6)


def test_ranks_end_after_the_same_step_though_their_clocks_differ(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(ending, "_ranks", lambda: 2)
    first, second = Enough(Orders(tmp_path, 5, 10.0)), Enough(Orders(tmp_path, 5, 10.0))
    first.reached(1)
    clock(1.0)
    second.reached(1)
    clock(9.5)
    assert not first.reached(8)  # it decides: one more, in which the other waits for it
    assert not second.reached(8)
    assert first.reached(9)
    assert second.reached(9)


def test_ranks_that_are_given_a_number_of_steps_need_not_agree(tmp_path, monkeypatch):
    monkeypatch.setattr(ending, "_ranks", lambda: 2)
    enough = Enough(Orders(tmp_path, 5, 0.0))
    assert [enough.reached(step) for step in (4, 5)] == [False, True]
    assert not list(tmp_path.iterdir())


def test_an_answer_that_is_just_being_written_is_none_yet(tmp_path, monkeypatch):
    monkeypatch.setattr(ending, "_ranks", lambda: 2)
    (tmp_path / "until").touch()
    enough = Enough(Orders(tmp_path, 5, 1e-9))
    assert not enough.reached(6)
    (tmp_path / "until").write_text("7")
    assert enough.reached(7)
