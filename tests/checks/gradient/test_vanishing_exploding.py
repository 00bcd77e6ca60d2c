"""The size of gradients is judged without the unit of the loss, by parameter and by part of the model."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from gonogo.checks.gradient.vanishing_exploding import vanishing_exploding
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS
from gonogo.training.subject import Subject

CHECK = vanishing_exploding.check  # type: ignore[attr-defined]


def scaled(factor: float, shift: float = 0.0) -> Subject:
    return TOYS["regressor"]().map_loss(lambda loss: lambda model, batch: loss(model, batch) * factor + shift)


def test_the_unit_of_the_loss_does_not_matter():
    for factor in (1e9, 1e-6):
        result = answer(CHECK, scaled(factor))
        assert result.observation is not None
        measured = result.observation.measurements
        assert result.status is Status.PASS
        assert 0 < (measured["exploding"].value or 0) < 100


def test_a_loss_below_zero_has_no_size_and_is_not_asked():
    result = answer(CHECK, scaled(1.0, shift=-50.0))
    assert result.observation is not None
    measured = result.observation.measurements
    assert result.status is Status.PASS
    assert "exploding" not in measured


class Skipping(torch.optim.SGD):
    """Told by a loss scaler to leave the first step out, as fused optimizers are."""

    found_inf: torch.Tensor | None = torch.tensor(1.0)

    def step(self, closure: Any = None) -> None:
        if self.found_inf is None:
            super().step(closure)


def test_a_step_that_a_loss_scaler_skips_is_no_finding():
    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        loss = subject._given("loss")(model, batch)
        optimizer.zero_grad()
        (loss * (1.0 if optimizer.found_inf is None else float("inf"))).backward()
        optimizer.step()
        optimizer.found_inf = None
        return float(loss.detach())

    subject = TOYS["classifier"]().map_optimizer(lambda _: lambda model: Skipping(model.parameters(), lr=0.01))
    assert answer(CHECK, replace(subject, step=step)).status is Status.PASS


def test_accumulation_is_watched_until_something_is_applied():
    result = answer(CHECK, TOYS["recipe"]())
    assert result.status is Status.PASS


@pytest.mark.requirement("MAFT-8.2")
def test_a_part_whose_matrices_all_vanish_is_named_with_advice():
    def change(model: nn.Module) -> nn.Module:
        for parameter in model.get_submodule("encoders").parameters():
            parameter.register_hook(lambda gradient: gradient * 1e-12)
        return model

    with_more = TOYS["multimodal"]().map_model(lambda model: change(deeper(model)))
    result = answer(CHECK, with_more)
    assert result.status is Status.WARN
    assert result.observation is not None
    parts = {row[0]: row for row in result.observation.tables[0].rows}
    assert (parts["encoders"][-2], parts["head"][-2]) == ("vanishing", "usual")
    assert "residual" in str(parts["encoders"][-1])


def deeper(model: nn.Module) -> nn.Module:
    """More matrices in the head, so that the median is one of theirs."""
    model.head = nn.Sequential(*(nn.Linear(72, 72) for _ in range(4)), model.get_submodule("head"))
    return model


@pytest.mark.requirement("MAFT-8.2")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_no_number_fails_by_name(value: float):
    def change(model: nn.Module) -> nn.Module:
        next(model.parameters()).register_hook(lambda gradient: gradient * value)
        return model

    result = answer(CHECK, TOYS["classifier"]().map_model(change))
    assert result.observation is not None
    assert result.status is Status.FAIL
    assert [row[0] for row in result.observation.tables[1].rows if row[-2] == "not finite"] == ["0.weight"]
