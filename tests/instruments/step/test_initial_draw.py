import pytest
import torch
from torch import nn

from gonogo.instruments.step.initial_draw import untouched


def normal(spread):
    layer = nn.Linear(48, 32)
    nn.init.normal_(layer.weight, std=spread)
    return layer


def xavier():
    layer = nn.Linear(48, 32)
    nn.init.xavier_uniform_(layer.weight)
    return layer


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("make", [lambda: nn.Linear(48, 32), lambda: nn.Conv2d(8, 16, 3), xavier, lambda: normal(0.02)])
def test_layers_as_they_are_built_look_drawn_and_after_a_little_training_do_not(make, seed):
    torch.manual_seed(seed)
    layer = make()
    assert untouched(layer.weight)
    moved = layer.weight + 0.05 * layer.weight.std() * torch.randn_like(layer.weight) + 0.1 * layer.weight
    assert not untouched(moved)


def test_a_wider_draw_and_few_numbers_say_nothing():
    assert not untouched(normal(0.05).weight)
    assert not untouched(nn.Linear(4, 4).weight)
