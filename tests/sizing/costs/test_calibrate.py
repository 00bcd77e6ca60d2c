"""Measured rates are used as they are; nothing here depends on how fast the machine is."""

import os
from collections import Counter

import pytest
import torch

from gonogo.errors import SubjectError
from gonogo.sizing.costs.calibrate import calibrate
from gonogo.sizing.costs.cost import step_time
from gonogo.sizing.costs.devices import device
from gonogo.sizing.costs.workload import Kernel, Work


@pytest.fixture(scope="module")
def here():
    return calibrate(0.2, "cpu")


def test_every_rate_is_measured_and_positive(here):
    assert here.measured
    assert all(rate > 0 for rate in here.flops.values())
    assert min(here.bandwidth, here.host_bandwidth, here.launch_seconds, here.dispatch_seconds) > 0
    assert here.flops.keys() >= device("cpu").flops.keys()


def test_what_is_not_measured_comes_from_the_table(here):
    table = device("cpu")
    assert (here.power_watts, here.price_per_hour, here.price_date) == (
        table.power_watts,
        table.price_per_hour,
        table.price_date,
    )
    assert torch.__version__ in here.note


def test_a_measured_rate_is_what_matrices_are_predicted_with(here):
    work = Work(Counter([Kernel("mm", "matmul", "forward", "float32", 10**12, 10**12, 0)]))
    assert step_time(work, here).seconds.point == pytest.approx(1e12 / here.flops["float32"])


def test_nothing_is_left_changed(here):
    before = torch.get_float32_matmul_precision(), torch.get_num_threads(), torch.random.get_rng_state().sum()
    calibrate(0.05, "cpu")
    after = torch.get_float32_matmul_precision(), torch.get_num_threads(), torch.random.get_rng_state().sum()
    assert before == after


@pytest.mark.parametrize("wrong", [lambda: calibrate(0), lambda: calibrate(-1), lambda: calibrate(1, "abacus")])
def test_what_cannot_be_measured_is_refused(wrong):
    with pytest.raises(SubjectError, match="expected"):
        wrong()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a card")
def test_a_card_reaches_no_more_than_its_dense_peak():
    name = torch.cuda.get_device_properties(0).name
    measured = calibrate(float(os.environ.get("CALIBRATE_SECONDS", "10")), "cuda")
    assert measured.peak("bfloat16") <= device(name).peak("bfloat16")
