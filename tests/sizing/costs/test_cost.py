"""Laws of the time and cost of work, and plans whose arithmetic is known."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.errors import SubjectError
from gonogo.sizing.costs.cost import checkpoint_storage, cost, seconds_at, step_time
from gonogo.sizing.costs.devices import device, table
from gonogo.sizing.costs.workload import Kernel, Work

DEVICES = st.sampled_from(sorted(table())).map(device)
KERNELS = st.builds(
    Kernel,
    operator=st.sampled_from(["all_reduce", "all_gather", "reduce_scatter", "broadcast", "all_to_all"]),
    kind=st.sampled_from(["matmul", "attention", "convolution", "memory", "exchange", "host link", "host"]),
    phase=st.sampled_from(["forward", "recompute", "backward", "update"]),
    dtype=st.sampled_from(["float32", "bfloat16", "tf32", "float64", "int64"]),
    flops=st.integers(0, 10**15),
    busy_flops=st.integers(0, 10**15),
    bytes=st.integers(0, 10**12),
    launches=st.integers(1, 4),
)
WORK = st.lists(KERNELS, min_size=1, max_size=6).map(lambda kernels: Work(Counter(kernels)))
PARAMETERS = 13_139_072_000  # hidden 5120, 40 layers, feed-forward 15104, vocabulary 131072


def only(kind="matmul", flops=10**12, size=0, dtype="bfloat16", operator="mm", times=1):
    kernel = Kernel(operator, kind, "forward", dtype, flops, flops, size)
    return Work(Counter({kernel: times}))


def cheap(name="A100", **changes):
    return replace(device(name), launch_seconds=0.0, dispatch_seconds=0.0, **changes)


@given(WORK, DEVICES, st.integers(1, 64))
def test_low_point_and_high_are_in_order(work, device, gpus):
    seconds = step_time(work, device, gpus).seconds
    assert 0 < seconds.low <= seconds.point <= seconds.high


@given(WORK, DEVICES, st.integers(1, 64))
def test_twice_the_work_takes_no_less_and_at_most_twice(work, device, gpus):
    once = step_time(work, device, gpus).seconds.point
    twice = step_time(Work(work.counts + work.counts), device, gpus).seconds.point
    assert once <= twice <= 2 * once * (1 + 1e-9)


@given(WORK, DEVICES, st.floats(1.0, 10.0))
def test_a_faster_device_takes_no_longer(work, device, factor):
    faster = replace(
        device, bandwidth=device.bandwidth * factor, flops={k: v * factor for k, v in device.flops.items()}
    )
    assert step_time(work, faster).seconds.high <= step_time(work, device).seconds.high * (1 + 1e-9)


@given(WORK, DEVICES, st.integers(2, 64))
def test_more_ranks_do_not_hasten_the_step_of_one(work, device, gpus):
    assert step_time(work, device, gpus).seconds.point >= step_time(work, device, 1).seconds.point * (1 - 1e-9)


@given(WORK, DEVICES, st.floats(0.001, 1000.0))
def test_a_step_takes_at_least_as_long_as_its_data(work, device, loader):
    seconds = step_time(work, device, loader_seconds=loader).seconds
    assert seconds.low >= loader
    assert seconds.point <= max(step_time(work, device).seconds.point, loader)


def test_a_matrix_product_takes_a_share_of_the_peak():
    assert step_time(only(), cheap()).seconds.point == pytest.approx(1e12 / (312e12 * 0.70))


def test_a_copy_takes_a_share_of_the_bandwidth():
    assert step_time(only("memory", 0, 2039 * 10**9), cheap()).seconds.point == pytest.approx(1 / 0.80)


def test_small_kernels_wait_for_the_host():
    time = step_time(only("memory", 0, 8, times=1000), device("A100"))
    assert time.bound == "dispatch"
    assert time.seconds.point == pytest.approx(1000 * device("A100").dispatch_seconds)


@pytest.mark.parametrize(("operator", "passes"), [("all_reduce", 2), ("all_gather", 1), ("reduce_scatter", 1)])
def test_a_ring_carries_its_share_over_the_link(operator, passes):
    whole = only("exchange", 0, 300 * 10**9, operator=operator)
    assert step_time(whole, cheap(), 4).parts["exchange"] == pytest.approx(passes * 0.75 / 0.80)
    assert step_time(whole, cheap(), 1).parts["exchange"] == 0


def test_exchanges_hide_behind_arithmetic_at_best_and_not_at_all_at_worst():
    both = Work(only(flops=10**14).counts + only("exchange", 0, 10**10, operator="all_gather").counts)
    alone, time = step_time(only(flops=10**14), cheap()).seconds, step_time(both, cheap(), 8)
    assert time.seconds.low == pytest.approx(alone.low)
    assert time.seconds.high == pytest.approx((alone.point + time.parts["exchange"]) * 1.25)


def test_states_on_the_host_cost_link_and_host_memory():
    offload = [SimpleNamespace(host_bytes_per_parameter=12.0)]
    parts = step_time(only(), cheap(), 1, offload, parameters=10**9).parts
    assert parts["host link"] == pytest.approx(4e9 / (31.5e9 * 0.80))
    assert parts["host"] == pytest.approx(24e9 / (50e9 * 0.80))


def test_transfers_that_the_trace_shows_are_not_added_again():
    shown = Work(only().counts + only("host link", 0, 5 * 10**9).counts)
    offload = [SimpleNamespace(host_bytes_per_parameter=12.0)]
    parts = step_time(shown, cheap(), 1, offload, parameters=10**9).parts
    assert parts["host link"] == pytest.approx(5e9 / (31.5e9 * 0.80))


def test_ranks_share_the_states_on_their_host():
    offload = [SimpleNamespace(host_bytes_per_parameter=12.0)]
    one, eight = (step_time(only(), cheap(), gpus, offload, parameters=10**9).parts for gpus in (1, 8))
    assert eight["host link"] == pytest.approx(one["host link"] / 8)
    assert eight["host"] == pytest.approx(one["host"])


def run(work=None, gpus=2, per_step=131_072, tokens=2.6e11, **options):
    work = work or only(flops=10**15)
    return cost(work, step_time(work, device("A5000"), gpus), device("A5000"), gpus, per_step, tokens, **options)


def test_money_is_hours_times_devices_times_price():
    found = run(price=0.5)
    assert found.money.point == pytest.approx(found.hours.point * 2 * 0.5)
    assert found.energy_kwh.point == pytest.approx(found.hours.point * 2 * 0.230)
    assert "as given" in found.price


def test_a_price_of_the_table_is_said_to_be_indicative_and_dated():
    assert "indicative" in run().price
    assert device("A5000").price_date in run().price


@given(st.floats(1.0, 1000.0), st.floats(1.0, 1e6))
def test_what_two_budgets_buy_is_what_the_tighter_one_buys(days, money):
    found = run()
    both = found.share(days=days, money=money).point
    assert both == min(found.share(days=days).point, found.share(money=money).point)


@given(st.floats(1.0, 1000.0))
def test_the_share_bought_takes_the_budget(days):
    found = run()
    share = found.share(days=days)
    assert share.low <= share.point <= share.high
    assert share.point * found.hours.point == pytest.approx(days * 24)


def test_overhead_takes_hours():
    assert run(overhead=0.1).hours.point == pytest.approx(1.1 * run().hours.point)


def test_the_plan_of_13_billion_parameters_is_far_from_its_wish():
    flops = 8 * PARAMETERS * 131_072  # with recomputation
    assert flops == pytest.approx(13.8e15, rel=0.01)
    step = seconds_at(flops, device("A5000"), 2, 0.40)
    assert step == pytest.approx(155, rel=0.01)
    assert 28 * 86_400 / step * 131_072 / 2.6e11 == pytest.approx(0.008, rel=0.05)


def test_utilisation_counts_what_the_model_needs():
    work = only(flops=10**14)
    time = step_time(work, cheap())
    assert cost(work, time, cheap(), 1, 1, 1).utilisation.point == pytest.approx(0.70)


def test_checkpoints_over_a_run():
    assert checkpoint_storage(10, 1000, 100) == 100
    assert checkpoint_storage(10, 1001, 100) == 110
    assert checkpoint_storage(10, 1000, 100, keep=3) == 40
    assert checkpoint_storage(10, 50, 100, keep=3) == 10


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: run(tokens=0),
        lambda: run(per_step=-1),
        lambda: run(overhead=-0.1),
        lambda: run(price=float("nan")),
        lambda: run().share(),
        lambda: run().share(days=0),
        lambda: seconds_at(1e15, device("A100"), 1, 40),
        lambda: checkpoint_storage(10, 1000, 0),
    ],
)
def test_impossible_numbers_are_refused_in_words(wrong):
    with pytest.raises(SubjectError, match=r"expected|budget"):
        wrong()
