"""A draw in evaluation is accused where it is the model's own and not claimed; dice of the loss are not."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.evaluation.mode import mode
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

BATCHES = [(torch.randn(8, 6, generator=torch.Generator().manual_seed(place)),) for place in range(3)]


class Sampling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.dropout(self.layer(x), 0.2)


def denoising(model: nn.Module, batch: Any) -> torch.Tensor:
    noise = torch.randn_like(batch[0])
    return (model(batch[0] + noise) - noise).square().mean()


def plain(model: nn.Module, batch: Any) -> torch.Tensor:
    return (model(batch[0]) - batch[0]).square().mean()


@pytest.mark.parametrize(
    ("model", "loss", "claims", "status"),
    [
        (lambda: nn.Linear(6, 6), denoising, Claims(), Status.PASS),
        (Sampling, plain, Claims(stochastic=True), Status.PASS),
        (Sampling, plain, Claims(), Status.FAIL),
        (Sampling, denoising, Claims(), Status.FAIL),
        (lambda: nn.Sequential(nn.Linear(6, 6), nn.RReLU()).train(), plain, Claims(), Status.PASS),
    ],
)
def test_only_dice_of_the_model_that_nobody_claims_are_found(model, loss, claims, status):
    subject = Subject("by hand", model=model, loss=loss, claims=claims, splits={"train": BATCHES})
    assert answer(mode.check, subject).status is status  # type: ignore[attr-defined]
