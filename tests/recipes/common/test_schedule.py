import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gonogo_recipes.common.schedule import factor, warmup_cosine


def rates(total, warmup, updates):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    scheduler = warmup_cosine(optimizer, total, warmup)
    found = []
    for _ in range(updates):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 400))
def test_every_rate_is_between_zero_and_the_highest(total, warmup, step):
    assert 0 <= factor(step, total, min(warmup, total)) <= 1


@given(st.integers(2, 200), st.integers(0, 200))
def test_the_rate_rises_to_its_highest_and_never_rises_again(total, warmup):
    warmup = min(warmup, total)
    found = [factor(step, total, warmup) for step in range(total + 3)]
    top = found.index(max(found))
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert max(found) == 1


def test_the_rate_ends_at_zero():
    falling = [1 + math.cos(math.pi * step / 8) for step in range(8)]
    assert rates(10, 2, 12) == pytest.approx([1, 2, *falling, 0, 0])


@pytest.mark.requirement("MAFT-3.3")
@pytest.mark.parametrize(("total", "warmup"), [(0, 0), (1, 0), (1, 1), (5, 5), (5, 0)])
def test_no_edge_is_an_error_or_a_first_update_at_rate_zero(total, warmup):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = rates(total, warmup, max(total, 1))
    assert total == 0 or all(rate > 0 for rate in found)


def test_a_warm_up_as_long_as_the_run_stays_at_the_top():
    assert rates(4, 4, 6) == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
