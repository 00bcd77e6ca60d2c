"""Linear models that are meant so, and deep ones that are not."""

import pytest
import torch
from torch import nn

from gonogo.checks.model.nonlinearity import nonlinearity
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject


def frozen_front():
    model = nn.Sequential(nn.Linear(6, 32), nn.Linear(32, 1))
    model[0].requires_grad_(False)
    return model


class Adapted(nn.Module):
    """A linear map with a factorised one beside it."""

    def __init__(self):
        super().__init__()
        self.base, self.down, self.up = nn.Linear(6, 5), nn.Linear(6, 2, bias=False), nn.Linear(2, 5, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


def layers(*between):
    return lambda: nn.Sequential(nn.Linear(6, 16), *between, nn.Linear(16, 16), *between, nn.Linear(16, 2))


CASES = {
    "a regression": (lambda: nn.Linear(6, 1), Status.PASS),
    "a network": (layers(nn.ReLU()), Status.PASS),
    "no activation": (layers(), Status.WARN),
    "only dropout": (layers(nn.Dropout(0.2)), Status.WARN),
    "only an identity": (layers(nn.Identity()), Status.WARN),
    "normalised": (layers(nn.LayerNorm(16)), Status.PASS),
    "activation before the last": (
        lambda: nn.Sequential(nn.Linear(6, 16), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2)),
        Status.PASS,
    ),
    "a linear autoencoder": (lambda: nn.Sequential(nn.Linear(6, 2), nn.Linear(2, 6)), Status.PASS),
    "a frozen projection": (frozen_front, Status.PASS),
    "an adapter": (Adapted, Status.PASS),
    "no linear layer": (lambda: nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 2, 3)), Status.SKIP),
}


@pytest.mark.parametrize("case", CASES)
def test_only_layers_that_could_be_one_are_named(case):
    model, expected = CASES[case]
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    given = Subject(
        "by hand",
        model=model,
        loss=lambda model, x: (model(x) - 1).square().mean(),
        splits={"train": lambda: [x]},
    )
    assert answer(nonlinearity.check, given).status is expected
