"""Hyperparameters in use, against a hand-made run."""

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from gonogo.instruments.configuration.live_values import live_values
from gonogo.training.session import Session
from gonogo.training.subject import Subject


def test_values_are_those_of_the_live_objects() -> None:
    def optimizer(model: nn.Module) -> AdamW:
        first, *rest = model.parameters()
        return AdamW([{"params": [first]}, {"params": rest, "weight_decay": 0.0}], lr=0.5, betas=(0.8, 0.9))

    subject = Subject(
        "s",
        model=lambda: nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.25), nn.LSTM(2, 1, 2, dropout=0.5)),
        loss=lambda model, batch: model(batch)[0].square().mean(),
        optimizer=optimizer,
        splits={"train": lambda: [torch.ones(4, 3)] * 3},
    )
    live = live_values(Session(subject))
    assert live.groups["lr"] == (0.5,)
    assert live.groups["weight_decay"] == (0.0, 0.01)
    assert (live.groups["beta1"], live.groups["beta2"]) == ((0.8,), (0.9,))
    assert (live.dropout, live.batch, live.moving, live.scheduler) == ((0.25, 0.5), 4, False, "")


def test_the_norm_is_that_of_all_gradients_together() -> None:
    weights = torch.tensor([[3.0, 4.0]])

    def model() -> nn.Module:
        layer = nn.Linear(2, 1, bias=False)
        with torch.no_grad():
            layer.weight.copy_(weights)
        return layer

    subject = Subject(
        "s",
        model=model,
        loss=lambda model, batch: 0.5 * torch.cat([p.flatten() for p in model.parameters()]).square().sum(),
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.0),
        splits={"train": lambda: [torch.ones(1, 2)]},
    )
    live = live_values(Session(subject), updates=1)
    assert live.norms == (pytest.approx(5.0),)
    assert live.largest == (pytest.approx(4.0),)
