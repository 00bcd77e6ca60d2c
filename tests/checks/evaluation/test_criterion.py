"""A criterion on a number that is written down is found; thresholds, clamps, bests and counters are right."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from gonogo.adapters.plain import from_parts
from gonogo.checks.evaluation.criterion import criterion
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer

CHECK: Any = criterion.check  # type: ignore[attr-defined]


def status(more: Any, decide: Any = lambda metrics: metrics["rate"] > 0.5) -> Status:
    def build() -> dict[str, Any]:
        torch.manual_seed(0)
        net, data = nn.Linear(3, 2), [(torch.randn(8, 3), torch.randint(2, (8,))) for _ in range(3)]

        @torch.no_grad()
        def evaluate(net: nn.Module, loader: Any) -> dict[str, float]:
            hits = torch.cat([net(x).argmax(1) == y for x, y in loader])
            accuracy = hits.float().mean().item()
            return {"accuracy": accuracy, "rate": more(accuracy, hits)}

        def loss(net: nn.Module, batch: Any) -> Any:
            return nn.functional.cross_entropy(net(batch[0]), batch[1])

        parts = {"model": net, "loss": loss, "evaluate": evaluate, "train_loader": data, "valid_loader": data}
        return {**parts, "optimizer": torch.optim.SGD(net.parameters(), 0.1), "criterion": decide}

    return answer(CHECK, from_parts(build(), build, "build")).status


def best_so_far() -> Any:
    seen = [9.0]
    return lambda accuracy, hits: seen.append(min(seen[-1], 1 - accuracy)) or seen[-1]


RIGHT = {
    "measured": lambda accuracy, hits: accuracy,
    "zero so far": lambda accuracy, hits: hits.all().float().item(),
    "a threshold": lambda accuracy, hits: float(accuracy > 0.99),
    "a clamp": lambda accuracy, hits: max(0.0, accuracy - 0.97),
    "exponential": lambda accuracy, hits: math.exp(-accuracy),
    "the best so far": best_so_far(),
    "a tensor": lambda accuracy, hits: hits.float().mean(),
    "by NumPy": lambda accuracy, hits: float(hits.numpy().all()),
}


@pytest.mark.parametrize("name", RIGHT)
def test_measured_numbers_are_right(name: str) -> None:
    assert status(RIGHT[name]) in (Status.PASS, Status.SKIP)


def test_a_number_that_is_written_down_fails() -> None:
    assert status(lambda accuracy, hits: 0.0) is Status.FAIL
    assert status(lambda accuracy, hits: 0.0, lambda metrics: metrics.get("rate", 1) > 0.2) is Status.FAIL


def test_a_criterion_of_other_arguments_or_other_numbers_is_left_alone() -> None:
    assert status(lambda accuracy, hits: 0.0, lambda outputs, targets: outputs) is Status.SKIP
    assert status(lambda accuracy, hits: 0.0, lambda metrics: metrics["accuracy"] > 0.5) is Status.PASS
