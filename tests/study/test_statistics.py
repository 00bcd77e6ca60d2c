import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gonogo.study import statistics
from gonogo.study.statistics import Estimate

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 9, 30, 101])
@pytest.mark.parametrize("probability", [0.6, 0.975, 0.999])
def test_the_quantile_of_t_is_that_of_a_statistics_library(df, probability):
    assert statistics.t_quantile(probability, df) == pytest.approx(stats.t.ppf(probability, df), rel=1e-10)


@given(values)
def test_the_interval_over_seeds_is_that_of_a_t_test(found):
    ours, spread = statistics.mean(found), stats.sem(found)
    reach = spread * stats.t.ppf(0.975, len(found) - 1)
    assert (ours.low, ours.high) == pytest.approx((np.mean(found) - reach, np.mean(found) + reach), abs=1e-6)


def test_one_seed_has_no_interval_and_decides_nothing():
    alone = statistics.mean([0.9])
    assert (alone.mean, alone.low, alone.sign) == (0.9, None, 0)


@pytest.mark.parametrize(("low", "high", "sign"), [(0.1, 0.2, 1), (-0.2, -0.1, -1), (-0.1, 0.1, 0), (0.0, 0.2, 0)])
def test_an_estimate_has_a_sign_where_its_whole_interval_has(low, high, sign):
    assert Estimate((low + high) / 2, low, high, 3).sign == sign


def test_the_seeds_that_are_needed_would_just_decide():
    difference = statistics.mean([0.03, -0.01, 0.02])
    needed = statistics.seeds_needed(difference)

    def reach(n):
        return stats.t.ppf(0.975, n - 1) * difference.spread / math.sqrt(n)

    assert reach(needed) < difference.mean <= reach(needed - 1)


@pytest.mark.parametrize("found", [[0.5], [0.0, 0.0], [1.0, -1.0]])
def test_no_number_of_seeds_decides_a_difference_of_nothing(found):
    assert statistics.seeds_needed(statistics.mean(found)) is None


def test_the_interval_over_samples_is_that_of_the_normal_limit():
    draw = np.random.default_rng(1).normal(0.1, 1, 2000)
    ours = statistics.over_samples(draw)
    reach = 1.96 * draw.std() / math.sqrt(2000)
    assert ours.high - ours.low == pytest.approx(2 * reach, rel=0.06)
    assert ours.low < ours.mean < ours.high


def test_samples_are_drawn_alike_every_time():
    assert statistics.over_samples([0.0, 1.0, 0.5]) == statistics.over_samples([0.0, 1.0, 0.5])
