import dataclasses
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.core.watch_settings import WatchSettings
from gonogo.watch.live.detectors import Detectors, Look

GIB = 2**30


def found(looks, **settings):
    detectors = Detectors(WatchSettings(**settings))
    return [finding.kind for look in looks for finding in detectors.see(look)]


def of_losses(losses, per_epoch=20):
    return [
        Look(10 * n, tuple(losses[10 * n - 10 : 10 * n]), epoch=10 * n // per_epoch)
        for n in range(1, len(losses) // 10 + 1)
    ]


def falling(count, seed, noise=0.1, floor=0.3):
    draw = random.Random(seed)
    return [floor + 2 * math.exp(-n / 80) * math.exp(draw.gauss(0, noise)) for n in range(count)]


@given(st.integers(0, 10_000), st.floats(0, 0.5), st.floats(0.001, 2))
def test_a_loss_that_falls_is_left_alone(seed, noise, floor):
    assert found(of_losses(falling(600, seed, noise, floor))) in ([], ["spike"])


@pytest.mark.requirement("ARC-6.1")
@given(st.integers(0, 10_000))
def test_a_loss_that_wavers_where_it_began_does_not_fall(seed):
    draw = random.Random(seed)
    assert "no_fall" in found(of_losses([2.3 + draw.gauss(0, 0.01) for _ in range(600)]))


def test_a_loss_that_grows_by_itself_diverges():
    assert "divergence" in found(of_losses([math.exp(n / 80) for n in range(400)]))
    assert "divergence" in found(of_losses(falling(600, 0) + [math.exp(n / 80) for n in range(400)]))


@pytest.mark.parametrize("step", [1, 100])
def test_a_loss_that_grows_with_its_task_does_not(step):
    assert "divergence" not in found(of_losses(falling(600, 0) + [0.3 + n // step * step / 100 for n in range(1000)]))


def test_a_loss_that_is_half_above_its_start_may_have_been_made_harder():
    assert found(of_losses([1.0] * 50 + [1.7] * 550)) == []


def test_a_loss_that_is_back_where_it_began_has_lost_what_was_learned():
    losses = [2.3 * math.exp(-n / 100) for n in range(300)]
    assert found(of_losses(losses + [2.3] * 300)) == ["divergence"]
    assert found(of_losses(losses + [2.4 - n / 1500 for n in range(300)])) == []


def test_a_loss_of_moving_targets_may_do_as_it_likes():
    looks = of_losses([math.exp(n / 80) for n in range(400)])
    assert found([dataclasses.replace(look, fixed=False) for look in looks]) == []


def test_a_loss_that_rises_after_a_fall_may_have_been_made_harder():
    harder = [math.exp(-n / 40) for n in range(200)] + [1.7 + 0.01 * (n % 3) for n in range(400)]
    assert found(of_losses(harder)) == ["spike"]


def test_a_penalty_that_sets_in_and_is_then_learned_is_no_divergence():
    penalised = [math.exp(-n / 40) for n in range(200)] + [0.5 + 9 * math.exp(-n / 60) for n in range(400)]
    assert found(of_losses(penalised)) == ["spike"]


def test_noise_in_which_no_fall_could_be_seen_says_nothing_of_a_fall():
    draw = random.Random(0)
    assert found(of_losses([1 + abs(draw.gauss(0, 1)) for _ in range(1000)])) == []


def test_a_loss_that_fell_in_its_first_few_steps_has_fallen():
    assert found(of_losses([4.0, 3.5, 3.2, 3.0, 2.9] + [2.3 + 0.001 * (n % 2) for n in range(600)])) == []


@pytest.mark.parametrize(
    "losses",
    [
        [0.0] * 600,  # a hinge that holds for all
        [0.1 * (-1) ** n + n / 600 for n in range(600)],  # an advantage
        [1e-9] + [n / 600 for n in range(1, 600)],  # a distance from the model as it was
        [0.6] + [0.3] * 599,  # a solver that is done in a step
    ],
)
def test_a_loss_without_a_height_to_fall_from_is_left_alone(losses):
    assert found(of_losses(losses)) == []


def test_a_jump_is_a_spike():
    losses = falling(300, 0)
    losses[250] = 50.0
    assert found(of_losses(losses)) == ["spike"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_gradients_that_are_lost_are_told_at_once(value):
    assert found([Look(3, (value,), bad_gradients=2)]) == ["nan"]


def test_one_batch_without_a_loss_is_no_end():
    assert found([Look(3, (1.0, math.nan, 1.0))]) == ["nan_batch"]


def test_losses_that_stay_nan_are_an_end():
    assert found([Look(n, (math.nan,)) for n in range(60)]) == ["nan_batch", "nan"]


def test_waiting_counts_when_it_costs():
    assert found([Look(n, waited=30.0, seconds=40.0) for n in range(5)]) == ["data_wait"]
    assert found([Look(n, waited=0.03, seconds=0.04) for n in range(100)]) == []


def grown(sizes, place="host", free=GIB, **named):
    return [Look(10 * n, memory={place: int(size)}, free={place: free}, **named) for n, size in enumerate(sizes)]


@pytest.mark.parametrize("mib", [20, 1], ids=["fast", "slow"])
def test_memory_that_every_step_leaves_behind_is_told(mib):
    assert found(grown(GIB + n * mib * 2**20 for n in range(600))) == ["memory"]
    late = (GIB + max(0, n - 300) * mib * 2**20 for n in range(1000))
    assert found(grown(late)) == ["memory"]


@pytest.mark.parametrize(
    ("place", "free", "told"), [("host", 2, []), ("host", 0.5, ["memory"]), ("device", 2, ["memory"])]
)
def test_while_a_data_set_fills_its_cache_host_memory_counts_when_it_runs_out(place, free, told):
    looks = grown((GIB + n * 20 * 2**20 for n in range(60)), place, int(free * GIB), filling=True)
    assert found(looks) == told


def test_a_cache_that_fills_in_jumps_or_wavers_is_none():
    assert found(grown(GIB * (1 + n // 10) for n in range(200))) == []
    assert found(grown(GIB * (1 + 0.5 * random.Random(n).random()) for n in range(200))) == []


def test_a_gate_that_stays_at_one_end_has_collapsed():
    assert found([Look(n, shares={"gate": 1.0}) for n in range(12)]) == ["collapse"]
    assert found([Look(n, shares={"gate": 1.0 - 0.5 * (n % 5 == 0)}) for n in range(50)]) == []


def test_a_rate_of_zero_is_told_but_not_a_warm_up():
    assert found([Look(n, rates=(0.0,)) for n in range(0, 100, 10)]) == ["learning_rate"]
    assert found([Look(n, rates=(n * 1e-5,)) for n in range(200)]) == []


def test_a_schedule_that_never_steps_is_told_unless_the_rate_moves():
    assert found([Look(n, rates=(0.1,), unticked=True, epoch=n) for n in range(4)]) == ["learning_rate"]
    assert found([Look(n, rates=(0.1 / (n + 1),), unticked=True, epoch=n) for n in range(4)]) == []
