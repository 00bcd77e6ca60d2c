"""Growth of memory is what every block of steps adds."""

import pytest

from gonogo.instruments.machine.resource_use import growth, use
from gonogo.testing.toys import TOYS
from gonogo.training.session import Session

MB = 1_000_000


@pytest.mark.requirement("MAFT-3.3", "MAFT-5.2")
def test_a_leak_is_its_slope():
    assert growth([100 * MB + 2 * MB * step for step in range(40)]) == 2 * MB


def test_a_warm_up_is_no_leak():
    assert growth([min(step, 8) * 50 * MB for step in range(40)]) == 0


def test_a_jump_in_the_middle_is_no_leak():
    assert growth([100 * MB if step < 20 else 300 * MB for step in range(40)]) == 0


def test_cyclic_garbage_that_comes_and_goes_is_no_leak():
    assert growth([(step % 9) * 10 * MB for step in range(45)]) < MB  # type: ignore[operator]


def test_memory_that_shrinks_does_not_grow():
    assert growth([500 * MB - step * MB for step in range(40)]) == 0


def test_few_steps_tell_nothing():
    assert growth([step * MB for step in range(10)]) is None


def test_every_step_is_measured_and_watched():
    seen = use(Session(TOYS["classifier"]()), steps=6, seconds=30.0, every=0.01)
    assert len(seen.held) == len(seen.seconds) == 6
    assert seen.step > 0
    assert len(seen.sampler.snapshots) >= 2
