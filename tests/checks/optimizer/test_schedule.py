"""A scheduler that must move with the batches does; others may be moved where nobody looks."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler as schedulers

from gonogo.adapters.plain import from_parts
from gonogo.checks.optimizer.schedule import schedule
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

CHECK = schedule.check  # type: ignore[attr-defined]


def loss(model: nn.Module, batch: Any) -> torch.Tensor:
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


class Run:
    """The scheduler moves at each "update", at each "call", in "evaluate", or not."""

    def __init__(self, scheduler: Any, moves: str, window: int) -> None:
        self.scheduler, self.moves, self.window, self.calls = scheduler, moves, window, 0

    def move(self, now: str) -> None:
        if now == self.moves:
            self.scheduler.step()

    def step(self, model: nn.Module, optimizer: Any, batch: Any) -> float:
        (value := loss(model, batch)).backward()
        self.calls += 1
        if self.calls % self.window == 0:
            optimizer.step()
            optimizer.zero_grad()
            self.move("update")
        self.move("call")
        return float(value.detach())

    def evaluate(self, model: nn.Module, loader: Any) -> dict[str, float]:
        self.move("evaluate")
        return {"loss": 1.0}


def program(make: Any, *, moves: str = "", window: int = 1, config: Any = None, **claims: Any) -> Subject:
    """A run of six batches per epoch."""

    def build() -> dict[str, Any]:
        torch.manual_seed(0)
        model = nn.Linear(8, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        run = Run(make(optimizer), moves, window)
        x = torch.randn(6, 20, 8)
        return {
            "model": model,
            "optimizer": optimizer,
            "scheduler": run.scheduler,
            "loss": loss,
            "step": run.step,
            "evaluate": run.evaluate,
            "train_loader": [(one, one[:, :3].argmax(1)) for one in x],
            "claims": {"accumulation": window, **claims},
            **({"config": config} if config else {}),
        }

    return from_parts(build(), build, "build")


def cycle(optimizer: Any) -> Any:
    return schedulers.OneCycleLR(optimizer, max_lr=0.1, total_steps=60)


def short_cycle(optimizer: Any) -> Any:
    return schedulers.OneCycleLR(optimizer, max_lr=0.1, total_steps=10)


def cosine(optimizer: Any) -> Any:
    return schedulers.CosineAnnealingLR(optimizer, 60)


def warm_up(optimizer: Any) -> Any:
    return schedulers.LambdaLR(optimizer, lambda step: min((step + 1) / 20, 1.0))


def two(optimizer: Any) -> Any:
    parts = [schedulers.LinearLR(optimizer, 0.5, total_iters=10), schedulers.CosineAnnealingLR(optimizer, 50)]
    return schedulers.SequentialLR(optimizer, parts, milestones=[10])


@pytest.mark.parametrize(
    "run",
    [
        program(cycle, moves="update"),
        program(cycle, moves="update", window=2),
        program(cycle, moves="evaluate"),
        program(cosine),
        program(cosine, moves="update", final_lr=0.0),
        program(cosine, moves="call", window=2, total_steps=30, final_lr=0.0),
        program(two, moves="update"),
        program(two),
        program(lambda o: schedulers.StepLR(o, 30)),
        program(lambda o: schedulers.ConstantLR(o, 0.5)),
        program(warm_up, moves="update"),
    ],
)
def test_a_scheduler_that_moves_or_may_move_elsewhere_is_healthy(run):
    assert answer(CHECK, run).status is Status.PASS


def test_one_cycle_that_nothing_moves_is_found():
    assert answer(CHECK, program(cycle)).status is Status.FAIL
    assert answer(CHECK, program(lambda o: schedulers.CyclicLR(o, 0.01, 0.1, step_size_up=12))).status is Status.FAIL


def test_one_cycle_that_may_count_epochs_is_only_doubted():
    assert answer(CHECK, program(short_cycle)).status is Status.WARN
    assert answer(CHECK, program(cycle, config={"epochs": 60})).status is Status.WARN


def test_a_warm_up_that_nothing_moves_is_doubted():
    assert answer(CHECK, program(warm_up)).status is Status.WARN


@pytest.mark.parametrize("make", [cosine, warm_up, cycle])
def test_a_scheduler_that_moves_with_every_part_of_an_update_is_doubted(make):
    found = answer(CHECK, program(make, moves="call", window=4, final_lr=0.0))
    assert found.status is Status.WARN
    assert "per_micro_batch" in found.reason
