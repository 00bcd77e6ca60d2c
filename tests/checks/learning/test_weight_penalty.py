"""Penalties that outweigh the error are found; small ones, and losses that call parts of a model, are left alone."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.adapters.plain import from_parts
from gonogo.checks.learning.weight_penalty import weight_penalty
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

CHECK = weight_penalty.check  # type: ignore[attr-defined]


def status(loss: Callable[[Any, Any], Tensor]) -> Status:
    def build() -> dict[str, Any]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
        data = [(x, x[:, :3].argmax(1)) for x in torch.randn(4, 20, 6)]
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        return {"model": model, "optimizer": optimizer, "loss": loss, "train_loader": data}

    return answer(CHECK, from_parts(build(), build, "build")).status


def size(model: nn.Module) -> Tensor:
    return torch.stack([parameter.square().sum() for parameter in model.parameters()]).sum()


def error(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(model(batch[0]), batch[1])


def test_a_usual_penalty_is_healthy():
    assert status(lambda model, batch: error(model, batch) + 1e-2 * size(model)) is Status.PASS


def test_a_penalty_that_drowns_the_error_is_reported():
    assert status(lambda model, batch: error(model, batch) + 30 * size(model)) is Status.WARN


def test_a_loss_that_calls_parts_of_the_model_is_not_asked():
    def parts(model: Any, batch: Any) -> Tensor:
        by_hand = functional.cross_entropy(model[2](model[1](model[0](batch[0]))), batch[1])
        return by_hand + 1e-4 * model(batch[0]).square().mean()

    assert status(parts) is Status.SKIP


def test_forces_whose_graph_is_freed_outside_training_are_no_error():
    class Potential(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))

        def forward(self, x: Any) -> Any:
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                energy = self.body(x).sum(-1)
                (force,) = torch.autograd.grad(energy.sum(), x, create_graph=self.training)
            return energy, force

    def loss(model: nn.Module, x: Any) -> Any:
        energy, force = model(x)
        return (energy - x.square().sum(1)).square().mean() + (force - 2 * x).square().mean()

    subject = Subject("forces", model=Potential, loss=loss, splits={"train": [torch.randn(8, 6) for _ in range(3)]})
    assert answer(CHECK, subject).status is Status.SKIP
