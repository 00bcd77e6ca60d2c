"""Of several optimizers each must step; those that wait their turn do."""

from typing import Any

import pytest
import torch
from torch import nn

from gonogo.adapters.plain import from_parts
from gonogo.checks.optimizer.steps import steps
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

CHECK = steps.check  # type: ignore[attr-defined]


class Table(nn.Module):
    def __init__(self, sparse: bool = False) -> None:
        super().__init__()
        self.items, self.head = nn.Embedding(20, 8, sparse=sparse), nn.Linear(8, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.items(ids))


def program(due: Any, *, claims: Any = None, lr: float = 0.1, stream: bool = False, sparse: bool = False) -> Subject:
    """Two optimizers; `due(index, call)` says whether one of them steps."""

    def build() -> dict[str, Any]:
        torch.manual_seed(0)
        model = Table(sparse)
        optimizers = (torch.optim.SGD(model.items.parameters(), lr=lr), torch.optim.Adam(model.head.parameters()))
        calls = [0]

        def step(model: nn.Module, optimizers: Any, batch: Any) -> float:
            for one in optimizers:
                one.zero_grad()
            value = nn.functional.cross_entropy(model(batch[0]), batch[1])
            value.backward()
            for index, one in enumerate(optimizers):
                if due(index, calls[0]):
                    one.step()
            calls[0] += 1
            return float(value.detach())

        data = [(torch.randint(0, 20, (16,)), torch.randint(0, 3, (16,))) for _ in range(5)]
        return {
            "model": model,
            "optimizer": optimizers,
            "loss": lambda model, batch: nn.functional.cross_entropy(model(batch[0]), batch[1]),
            "step": step,
            "train_loader": Stream(data) if stream else data,
            "claims": claims or {},
        }

    return from_parts(build(), build, "build")


class Stream:
    def __init__(self, data: list[Any]) -> None:
        self.data = data

    def __iter__(self) -> Any:
        return iter(self.data)


@pytest.mark.parametrize(
    "due",
    [
        lambda index, call: True,
        lambda index, call: index == 1 or call % 25 == 24,
        lambda index, call: index == call // 5 % 2,
        lambda index, call: index == 1 or call > 60,
    ],
    ids=["together", "every 25th", "alternating epochs", "from the twelfth epoch on"],
)
def test_optimizers_that_step_in_phases_are_healthy(due):
    assert answer(CHECK, program(due)).status is Status.PASS


def test_an_optimizer_at_rate_zero_or_of_frozen_weights_may_wait():
    assert answer(CHECK, program(lambda index, call: index == 1, lr=0.0)).status is Status.PASS
    assert answer(CHECK, program(lambda index, call: index == 1, claims={"frozen": ["items"]})).status is Status.PASS


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("forgotten", [0, 1])
def test_an_optimizer_that_is_forgotten_is_found(forgotten, sparse):
    found = answer(CHECK, program(lambda index, call: index != forgotten, sparse=sparse))
    assert found.status is Status.FAIL
    assert "idle_optimizers" in found.reason


def test_in_a_stream_an_idle_optimizer_may_have_its_turn_later():
    assert answer(CHECK, program(lambda index, call: index == 1, stream=True)).status is Status.WARN
