"""A step that keeps the whole model in evaluation mode."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gonogo.checks.evaluation.mode_restored import mode_restored
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject


def build() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))


def loss(model: nn.Module, batch: Tensor) -> Tensor:
    return model(batch).square().mean()


def stepping(training: bool) -> Subject:
    def step(model: nn.Module, optimizer: Any, batch: Tensor) -> float:
        value = loss(model.train(training), batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    def evaluate(model: nn.Module, loader: Any) -> dict[str, float]:
        return {"loss": sum(loss(model.eval(), batch).item() for batch in loader)}

    splits = {name: lambda: [torch.ones(4, 3)] * 2 for name in ("train", "valid")}
    optimizer: Any = lambda model: torch.optim.SGD(model.parameters(), lr=0.1)  # noqa: E731
    return Subject("run", build, loss, optimizer, splits, step=step, evaluate=evaluate)


@pytest.mark.parametrize(("training", "status", "never"), [(True, Status.PASS, 0), (False, Status.WARN, 1)])
def test_a_step_that_never_leaves_evaluation_mode_is_a_warning(training: bool, status: Status, never: int):
    found = answer(mode_restored.check, stepping(training))
    assert found.observation is not None
    assert (found.status, found.observation.measurements["never_in_training"].value) == (status, never)
