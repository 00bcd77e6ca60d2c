"""Layers whose units are alike or silent, and layers that only look so."""

import pytest
import torch
from torch import nn

from gonogo.checks.model.dead_units import dead_units
from gonogo.checks.model.symmetric_init import symmetric_init
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

GENERATOR = torch.Generator().manual_seed(1)


BATCH = torch.rand(32, 6, generator=GENERATOR)


def verdict(check, model, batch=BATCH):
    subject = Subject("by hand", model=model, loss=lambda m, b: m(b).square().mean(), splits={"train": [batch]})
    return answer(check, subject).status


def filled(value, width=8):
    layer = nn.Linear(6, width)
    nn.init.constant_(layer.weight, value)
    return nn.Sequential(layer, nn.ReLU(), nn.Linear(width, 1))


def test_constant_weights_are_noticed_and_zeros_are_a_usual_start():
    assert verdict(symmetric_init.check, lambda: filled(0.1)) is Status.WARN
    assert verdict(symmetric_init.check, lambda: filled(0.0)) is Status.PASS
    assert verdict(symmetric_init.check, lambda: filled(0.1, width=1)) is Status.SKIP


@pytest.mark.parametrize(("shift", "expected"), [(0.0, Status.PASS), (10.0, Status.WARN)])
def test_units_behind_a_large_negative_bias_are_dead(shift, expected):
    def model():
        layers = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
        nn.init.constant_(layers[0].bias, -shift)
        return layers

    assert verdict(dead_units.check, model) is expected


def test_positive_inputs_silence_some_units_by_right():
    model = lambda: nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 1))  # noqa: E731
    assert verdict(dead_units.check, model, 10 + BATCH) is Status.PASS


def test_three_quarters_of_many_units_are_too_many_and_of_few_may_be_chance():
    def model(width):
        layers = nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 1))
        nn.init.constant_(layers[0].bias[: 3 * width // 4], -10.0)
        return layers

    assert verdict(dead_units.check, lambda: model(64)) is Status.WARN
    assert verdict(dead_units.check, lambda: model(8)) is Status.PASS


def test_an_expert_that_gets_no_rows_has_no_dead_units():
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.ways = nn.ModuleList(nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1)) for _ in range(3))

        def forward(self, x):
            chosen = (2 * x[:, 0]).long()  # the third is chosen never
            return torch.cat([way(x[chosen == number]) for number, way in enumerate(self.ways)])

    assert verdict(dead_units.check, Experts) is Status.PASS
