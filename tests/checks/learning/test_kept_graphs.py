"""Histories that grow are found; a kept last loss, a window of micro-batches and detached lists are healthy."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gonogo.adapters.plain import from_parts
from gonogo.checks.learning.kept_graphs import kept_graphs
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer

CHECK = kept_graphs.check  # type: ignore[attr-defined]


def loss(model: nn.Module, batch: Any) -> Tensor:
    return nn.functional.mse_loss(model(batch[0]), batch[1])


def plain(kept: dict[str, Any], value: Tensor) -> None:
    return None


def last(kept: dict[str, Any], value: Tensor) -> None:
    kept["last"] = value


def detached(kept: dict[str, Any], value: Tensor) -> None:
    kept.setdefault("losses", []).append(value.detach())


def listed(kept: dict[str, Any], value: Tensor) -> None:
    kept.setdefault("losses", []).append({"loss": value})


def added_in_place(kept: dict[str, Any], value: Tensor) -> None:
    kept["total"] = kept.get("total", torch.zeros(()))
    kept["total"] += value


def status(keep: Callable[[dict[str, Any], Tensor], None], window: int = 1) -> Status:
    def build() -> dict[str, Any]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
        data = [(x, x.sum(1, keepdim=True)) for x in torch.randn(3, 10, 6)]
        kept: dict[str, Any] = {}
        waiting: list[Tensor] = []

        def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
            value = loss(model, batch)
            waiting.append(value)
            if len(waiting) == window:
                optimizer.zero_grad()
                torch.stack(waiting).mean().backward()
                waiting.clear()
                optimizer.step()
            keep(kept, value)
            return float(value.detach())

        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        return {"model": model, "optimizer": optimizer, "loss": loss, "step": step, "train_loader": data}

    return answer(CHECK, from_parts(build(), build, "build")).status


@pytest.mark.parametrize("keep", [plain, last, detached])
def test_what_is_bounded_is_healthy(keep):
    assert status(keep) is Status.PASS


def test_a_window_of_micro_batches_is_healthy():
    assert status(plain, window=3) is Status.PASS


@pytest.mark.parametrize("keep", [listed, added_in_place])
def test_histories_of_all_steps_are_reported(keep):
    assert status(keep) is Status.WARN
