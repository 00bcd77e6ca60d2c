"""Large steps that lead down are not accused, and neither are optimizers that choose their steps themselves."""

from typing import Any

import torch
from torch import nn

from gonogo.adapters.plain import from_parts
from gonogo.checks.optimizer.update_size import update_size
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

CHECK = update_size.check  # type: ignore[attr-defined]


def program(make_optimizer: Any, *, closure: bool = False) -> Subject:
    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        def value() -> torch.Tensor:
            optimizer.zero_grad()
            now = loss(model, batch)
            now.backward()
            return now

        if closure:
            return float(optimizer.step(value).detach())
        now = value()
        optimizer.step()
        return float(now.detach())

    def build() -> dict[str, Any]:
        torch.manual_seed(0)
        model = nn.Linear(8, 3)
        x = torch.randn(6, 20, 8)
        data = [(one, one[:, :3].argmax(1)) for one in x]
        return {"model": model, "optimizer": make_optimizer(model), "loss": loss, "step": step, "train_loader": data}

    return from_parts(build(), build, "build")


def test_an_optimizer_with_a_line_search_is_not_asked():
    subject = program(lambda model: torch.optim.LBFGS(model.parameters(), lr=1.0), closure=True)
    assert answer(CHECK, subject).status is Status.SKIP


def test_a_small_head_that_grows_fast_while_it_learns_is_healthy():
    subject = program(lambda model: torch.optim.SGD(model.parameters(), lr=1.0))
    assert answer(CHECK, subject).status is Status.PASS


def test_steps_that_overwrite_the_weights_and_lead_nowhere_are_reported():
    subject = program(lambda model: torch.optim.Adam(model.parameters(), lr=30.0))
    assert answer(CHECK, subject).status is Status.WARN
