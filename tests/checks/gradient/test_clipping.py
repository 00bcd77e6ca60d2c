"""Clipping is tried at several norms; what is meant otherwise is not accused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from gonogo.checks.gradient.clipping import clipping
from gonogo.core.criterion import Status
from gonogo.core.report import Result
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS
from gonogo.training.subject import Subject

CHECK = clipping.check  # type: ignore[attr-defined]


def with_step(change: Callable[[nn.Module], object], **claims: Any) -> Subject:
    subject = TOYS["classifier"]()

    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        loss = subject._given("loss")(model, batch)
        loss.backward()
        change(model)
        optimizer.step()
        return float(loss.detach())

    return replace(subject, step=step).with_claims(**claims)


def clip(limit: float) -> Callable[[nn.Module], object]:
    return lambda model: nn.utils.clip_grad_norm_(model.parameters(), limit)


def measured(result: Result) -> dict[str, float | None]:
    assert result.observation is not None
    return {name: one.value for name, one in result.observation.measurements.items()}


@pytest.mark.requirement("MAFT-8.3", "MAFT-3.2")
@pytest.mark.parametrize("limit", [0.1, 1.0, 5.0])
def test_right_clipping_holds_at_every_norm(limit: float):
    result = answer(CHECK, with_step(clip(limit), max_norm=limit))
    assert result.status is Status.PASS
    assert measured(result)["norm_at_limit"] == pytest.approx(1.0, abs=1e-4)
    assert measured(result)["touched"] == 0.0


@pytest.mark.requirement("MAFT-8.3")
def test_a_limit_in_the_configuration_is_tried_at_three_values():
    result = answer(CHECK, TOYS["configured"]())
    assert result.observation is not None
    limits = {row[0] for row in result.observation.tables[0].rows}
    assert result.status is Status.PASS
    assert limits == {0.1, 1.0, 5.0}


def test_a_limit_that_only_the_default_has_is_found_at_the_others():
    given = TOYS["configured"]()
    build = given.with_config
    assert build is not None
    result = answer(CHECK, replace(given, with_config=lambda config: build(given.config)))  # type: ignore[arg-type]
    assert result.status is Status.WARN
    assert measured(result)["norm_at_limit"] == pytest.approx(50.0, rel=1e-3)


def test_no_stated_limit_is_no_finding():
    assert answer(CHECK, with_step(clip(1.0))).status is Status.SKIP


def test_elements_may_be_clipped_where_a_norm_is_not_claimed():
    elements = with_step(lambda model: nn.utils.clip_grad_value_(model.parameters(), 0.5))
    assert answer(CHECK, replace(elements, config={"grad_clip": 0.5})).status is Status.SKIP


def test_a_clip_over_more_weights_than_the_optimizer_holds_is_right():
    subject = with_step(clip(1.0), max_norm=1.0)
    some = subject.map_optimizer(lambda _: lambda model: torch.optim.SGD(list(model.parameters())[2:], lr=0.01))
    assert answer(CHECK, some).status is Status.PASS


def test_half_precision_gradients_are_allowed_their_rounding():
    def halved(model: nn.Module) -> nn.Module:
        return model.to(torch.bfloat16)

    subject = with_step(clip(1.0), max_norm=1.0).map_model(halved)

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        return nn.functional.cross_entropy(model(batch["features"].bfloat16()).float(), batch["label"])

    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        clip(1.0)(model)
        optimizer.step()
        return float(value.detach())

    assert answer(CHECK, replace(subject, loss=loss, step=step)).status is Status.PASS


def test_noise_that_is_added_to_gradients_is_seen():
    def noisy(model: nn.Module) -> None:
        clip(1.0)(model)
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.grad += 0.01 * torch.randn_like(parameter)

    assert measured(answer(CHECK, with_step(noisy, max_norm=1.0)))["touched"] > 0.01  # type: ignore[operator]
