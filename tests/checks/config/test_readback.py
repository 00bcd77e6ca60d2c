"""Configured values against those in use, on hand-made runs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR

from gonogo.checks.config.readback import readback
from gonogo.core.criterion import Status
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject

X = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))


def run(config: dict[str, Any], make: Callable[[nn.Module], Optimizer], **parts: Any) -> Subject:
    def loss(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
        return (model(batch) - 30).square().mean()

    return Subject(
        "s",
        model=lambda: nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.Linear(8, 1)),
        loss=loss,
        optimizer=make,
        splits={"train": lambda: list(X.split(8))},
        config=config,
        **parts,
    )


def verdict(subject: Subject) -> Status:
    measured = readback(Session(subject)).measurements
    if measured["contradicted"].value:
        return Status.FAIL
    return Status.WARN if measured["different"].value else Status.PASS


def adamw(rate: float, decay: float = 0.01) -> Callable[[nn.Module], Optimizer]:
    return lambda model: AdamW(model.parameters(), lr=rate, weight_decay=decay)


def groups(model: nn.Module) -> Optimizer:
    weights, biases = [[p for p in model.parameters() if (p.dim() > 1) is big] for big in (True, False)]
    return AdamW([{"params": weights}, {"params": biases, "weight_decay": 0.0}], lr=1e-3, weight_decay=0.1)


@pytest.mark.parametrize("config", [{"lr": 1e-2}, {"learning_rate": "1e-2"}, {"optim": {"lr": 3e-3}, "hidden": 8}])
def test_another_constant_rate_is_a_contradiction(config: dict[str, Any]) -> None:
    assert verdict(run(config, adamw(1e-3))) is Status.FAIL


@pytest.mark.parametrize(
    "config", [{"lr": 1e-3}, {"lr": "1e-3", "weight_decay": 0.01, "batch_size": 8, "dropout": 0.1}]
)
def test_what_agrees_is_accepted(config: dict[str, Any]) -> None:
    assert verdict(run(config, adamw(1e-3))) is Status.PASS


@pytest.mark.parametrize(
    "config", [{"lr": 2e-3}, {"lr": 4e-3}, {"base_lr": 1.0, "lr": 3e-3}, {"lr": 3e-3, "warmup": 5}]
)
def test_a_rate_that_may_be_scaled_is_only_mentioned(config: dict[str, Any]) -> None:
    assert verdict(run(config, adamw(1e-3))) is Status.WARN


@pytest.mark.parametrize(
    "schedule",
    [
        lambda optimizer: CosineAnnealingLR(optimizer, 10),
        lambda optimizer: LambdaLR(optimizer, lambda at: min(1.0, at / 10)),
        lambda optimizer: OneCycleLR(optimizer, max_lr=3e-3, total_steps=20),
    ],
)
def test_schedules_are_understood(schedule: Any) -> None:
    assert verdict(run({"lr": 3e-3}, adamw(3e-3), schedule=schedule)) is Status.PASS


def test_warm_up_by_hand_and_two_rates_are_not_judged() -> None:
    calls = [0]

    def step(model: nn.Module, optimizer: Optimizer, batch: torch.Tensor) -> float:
        calls[0] += 1
        optimizer.param_groups[0]["lr"] = 3e-3 * min(1.0, calls[0] / 100)
        optimizer.zero_grad()
        value = model(batch).square().mean()
        value.backward()
        optimizer.step()
        return float(value.detach())

    with pytest.raises(NotApplicable):
        readback(Session(run({"lr": 3e-3}, adamw(1e-5), step=step)))
    with pytest.raises(NotApplicable):
        readback(Session(run({"lr": 3e-3, "bert": {"lr": 1e-5}}, adamw(1e-4))))


@pytest.mark.parametrize(
    "config",
    [{"weight_decay": 0.3}, {"batch_size": 16}, {"dropout": 0.5}, {"max_norm": 1.0}, {"betas": [0.8, 0.99]}],
)
def test_other_differences_are_mentioned(config: dict[str, Any]) -> None:
    assert verdict(run(config, adamw(1e-3))) is Status.WARN


def test_groups_without_decay_and_momentum_of_others_are_accepted() -> None:
    assert verdict(run({"weight_decay": 0.1, "ema": {"momentum": 0.999}}, groups)) is Status.PASS
    plain = run({"momentum": 0.9, "lr": 0.1}, lambda model: SGD(model.parameters(), lr=0.1, momentum=0.9))
    assert verdict(plain) is Status.PASS
