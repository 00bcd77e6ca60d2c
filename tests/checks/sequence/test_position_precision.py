"""Angles in several precisions, of positions and of activations."""

import pytest
import torch
from torch import nn

from gonogo.checks.sequence.position_precision import position_precision
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

HALF = torch.bfloat16
FAST = torch.tensor([1.0, 0.25, 1 / 16]).to(HALF)


def pictured(n):
    """Positions of a text with a picture in it, whose parts share one."""
    return torch.cat([torch.arange(150), torch.full((9,), 150), torch.arange(151, n - 8)]).float()


class Model(nn.Module):
    """A layer, and a number that it adds."""

    def __init__(self, added, length):
        super().__init__()
        self.layer, self.added, self.length = nn.Linear(3, 1), added, length

    def forward(self, x):
        return self.layer(x) + self.added(self.length, x, self.layer.weight).float().mean()


CASES = {
    "angles in float32, cosines in half": (lambda n, x, w: torch.arange(n).float().cos().to(HALF), Status.PASS),
    "angles in half": (lambda n, x, w: torch.arange(n).float().to(HALF).mul(0.5).sin(), Status.FAIL),
    "slow angles in half": (lambda n, x, w: (torch.arange(n) / 100).to(HALF).sin(), Status.PASS),
    "the waves of a network in half": (lambda n, x, w: (1e4 * w).to(HALF).sin(), Status.SKIP),
    "large inputs in float32": (lambda n, x, w: (1e6 * x).sin(), Status.PASS),
    "steps of a tenth in half": (lambda n, x, w: torch.arange(0, n / 10, 0.1, dtype=HALF), Status.SKIP),
    "angles rounded and cast back": (
        lambda n, x, w: (torch.arange(n).to(HALF)[:, None] * FAST).float().cos(),
        Status.FAIL,
    ),
    "positions rounded": (
        lambda n, x, w: (FAST.float()[:, None] * torch.arange(n).to(HALF).float()).cos(),
        Status.FAIL,
    ),
    "angles in full": (lambda n, x, w: (torch.arange(n)[:, None] * FAST.float()).cos(), Status.PASS),
    "short angles cast back": (lambda n, x, w: (torch.arange(200).to(HALF)[:, None] * FAST).float().cos(), Status.PASS),
    "slow angles of times": (lambda n, x, w: (torch.arange(n).float()[:, None] / 64 * FAST.float()).cos(), Status.PASS),
    "a picture in a text": (lambda n, x, w: pictured(n)[:, None].mul(FAST.float()).cos(), Status.PASS),
    "a grid": (
        lambda n, x, w: torch.arange(n).div(9, rounding_mode="floor")[:, None].mul(FAST.float()).cos(),
        Status.PASS,
    ),
    "padding behind": (lambda n, x, w: torch.arange(n).clamp(max=200)[:, None].mul(FAST.float()).cos(), Status.PASS),
    "distances in half": (lambda n, x, w: torch.arange(n, dtype=HALF), Status.WARN),
}


def verdict(added, length=600):
    given = Subject(
        "by hand",
        model=lambda: Model(added, length),
        loss=lambda model, x: model(x).square().mean(),
        optimizer=lambda model: torch.optim.SGD(model.parameters(), 1e-3),
        splits={"train": lambda: [torch.randn(4, 3, generator=torch.Generator().manual_seed(0))]},
    )
    return answer(position_precision.check, given).status


@pytest.mark.parametrize("case", CASES)
def test_only_angles_that_half_precision_cannot_tell_apart_are_found(case):
    added, expected = CASES[case]
    assert verdict(added) is expected


def test_short_sequences_fit_in_half_precision():
    assert verdict(CASES["angles in half"][0], length=100) is Status.PASS
