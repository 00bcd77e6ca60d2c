"""Curves of losses: ratios, their scatter, and targets that are exchanged for a control."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gonogo.instruments.loss.curves import Curve, curve, other_targets
from gonogo.testing.toys import TOYS
from gonogo.training.claims import Claims
from gonogo.training.session import Session


def of(*losses: float, rates: tuple[float, ...] = (1.0,)) -> Curve:
    return Curve(losses, rates, 1.0)


def test_the_ratio_is_that_of_the_medians_at_both_ends():
    assert of(*[2.0, 2.0, 9.0], *[1.5] * 9, *[1.0, 1.0, 0.1]).ratio == 0.5


@given(st.floats(0.01, 100), st.lists(st.floats(0.1, 10), min_size=10, max_size=30))
def test_the_unit_of_the_loss_does_not_matter(factor: float, losses: list[float]):
    assert of(*(factor * loss for loss in losses)).ratio == pytest.approx(of(*losses).ratio)


def test_losses_below_zero_fall_relative_to_their_size():
    assert of(*[-1.0] * 5, *[-2.0] * 5).ratio == 0.0
    assert of(*[-1.0] * 10).ratio == 1.0


def test_a_straight_fall_has_little_noise_and_a_jagged_line_much():
    straight = of(*(1.0 - place / 100 for place in range(20)))
    assert straight.noise < 0.02
    assert of(*[1.0, 2.0] * 10).noise > 0.5


def test_a_rate_that_still_rises_is_warming_up():
    assert of(1.0, rates=(0.0, 0.1, 0.2, 0.3)).warming
    assert not of(1.0, rates=(0.1, 0.3, 0.3, 0.3)).warming


def test_the_control_keeps_every_target_within_its_batch_and_moves_it():
    batch = {"features": torch.randn(16, 3), "label": torch.arange(16)}
    [other] = other_targets([batch], Claims(target="label"), seed=0) or []
    assert torch.equal(other["features"], batch["features"])
    assert other["label"].tolist() != batch["label"].tolist()
    assert sorted(other["label"].tolist()) == batch["label"].tolist()


def test_without_a_known_target_there_is_no_control():
    assert other_targets([torch.randn(8, 3)], Claims(), seed=0) is None


def test_a_curve_takes_the_runs_own_steps_from_the_start():
    session = Session(TOYS["classifier"]())
    batches = session.batches("train", limit=3)
    one, again = (curve(session, batches, 6, seconds=10.0) for _ in range(2))
    assert one == again
    assert len(one.losses) == 6
    assert 0 < one.moved < math.inf
