import copy

import pytest
import torch
from torch import nn

from gonogo.errors import NotApplicable
from gonogo.instruments.step import averages, micro_batches, own_steps, resumed, schedules
from gonogo.instruments.step.own_steps import OwnSteps
from gonogo.testing.toys import TOYS
from gonogo.training.session import Session


def test_the_gradient_at_the_step_is_that_of_the_loss():
    session = Session(TOYS["classifier"]())
    batches = session.batches(limit=1)
    [update] = OwnSteps(session).until_update(batches)
    assert torch.equal(update.gradient, own_steps.loss_gradients(session, batches)[0])


def test_arriving_gradients_are_scaled_before_anything_acts_on_them():
    session = Session(TOYS["classifier"]())
    batches = session.batches(limit=1)
    [plain], [scaled] = (OwnSteps(session).until_update(batches, factor=factor) for factor in (1.0, 4.0))
    assert torch.equal(4 * plain.gradient, scaled.gradient)


def test_a_window_of_accumulation_is_one_update():
    own = OwnSteps(session := Session(TOYS["recipe"]()))
    assert len(own.until_update(session.batches(limit=2))) == 1
    assert own.calls == own.forwards == 2


def test_both_players_of_a_game_are_seen():
    own = OwnSteps(session := Session(TOYS["adversarial"]()))
    assert [update.optimizer for update in own.call(session.batches(limit=1)[0])] == [1, 0]


def test_short_rows_come_first():
    batch = {"ids": torch.tensor([[1, 2, 3], [1, 0, 0], [1, 2, 0]])}
    assert micro_batches.by_length(batch, 3, pad=0) == [1, 2, 0]
    assert micro_batches.token_shares([{"ids": batch["ids"][:1]}, {"ids": batch["ids"][1:2]}], 0)[0] == [0.75, 0.25]


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: dict(m.named_parameters()), lambda m: list(m.parameters())])
def test_averages_are_found_in_modules_mappings_and_lists(wrap):
    model = nn.Linear(3, 2)
    assert averages.averaged(wrap(copy.deepcopy(model)), model)["weight"].equal(model.weight)
    assert averages.aliased(averages.averaged(wrap(model), model), model) == ["weight", "bias"]


def test_an_object_that_only_follows_the_weights_is_no_average():
    class Follower:
        def __init__(self, model):
            self.parameters = list(model.parameters())

    model = nn.Linear(3, 2)
    assert averages.averaged(Follower(model), model) == {}


def test_the_share_that_an_average_kept_is_found_again():
    one, two = ({"w": torch.tensor([float(n), 2.0])} for n in (1, 5))
    after = {"w": 0.9 * one["w"] + 0.1 * two["w"]}
    assert averages.share_kept([(one, one), (two, after)], 1) == pytest.approx(0.9)


def test_rates_ahead_are_those_of_a_real_run():
    session = Session(TOYS["recipe"]())
    own, slow = OwnSteps(session), []
    while len(slow) < 12:
        slow += [update.rates[0] for update in own.until_update(session.batches(limit=4))]
    assert schedules.rates(session, 12, 1.0)[:12] == pytest.approx(slow)
    assert schedules.pace(session) == schedules.Pace(1.0, 0, window=2.0)


def test_a_run_without_scheduler_has_no_pace():
    with pytest.raises(NotApplicable):
        schedules.pace(Session(TOYS["classifier"]()))


def test_differences_of_states_are_relative_and_missing_ones_infinite():
    one = {"a": torch.tensor([2.0, 4.0]), "b": 1, "c": 0.5}
    assert dict(resumed.differing(one, {"a": torch.tensor([2.0, 3.0]), "b": 1})) == {"a": 0.25, "c": float("inf")}
