"""Claims of half precision against the products that really run in it."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from gonogo.checks.model.precision import precision
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS


def verdict(context, claim="bf16"):
    toy = TOYS["classifier"]()

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        with context():
            loss = toy.loss(model, batch)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return answer(precision.check, replace(toy.with_claims(precision=claim), step=step)).status


def test_autocast_around_the_loss_is_what_was_claimed():
    assert verdict(lambda: torch.autocast("cpu", dtype=torch.bfloat16)) is Status.PASS


def test_autocast_of_another_format_is_not():
    assert verdict(lambda: torch.autocast("cpu", dtype=torch.float16)) is Status.FAIL


USE_AMP = torch.cuda.is_available()
FLAGS = {"half": USE_AMP}
SETTINGS = {"amp": False}


@pytest.mark.parametrize(
    "context",
    [
        lambda: torch.autocast("cpu", dtype=torch.bfloat16, enabled=False),
        nullcontext,
        lambda: torch.autocast("cuda", dtype=torch.bfloat16, enabled=False),
    ],
    ids=["made elsewhere", "no context", "another device"],
)
def test_what_may_be_switched_off_for_a_cpu_is_not_judged(context):
    assert verdict(context) is Status.SKIP


def with_switch(enter):
    """The verdict where `enter(loss)` has the with statement, and the loss in it."""
    toy = TOYS["classifier"]()

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        loss = enter(lambda: toy.loss(model, batch))
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return answer(precision.check, replace(toy.with_claims(precision="bf16"), step=step)).status


def switched_by_the_device(loss, name="cpu"):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=name != "cpu" and torch.cuda.is_available()):
        return loss()


def switched_by_a_flag_of_the_device(loss):
    enabled = bool(FLAGS["half"])
    with torch.autocast(device_type="cpu", dtype=torch.bfloat16, enabled=enabled):
        return loss()


def kept_in_a_variable(loss):
    on = USE_AMP
    context = torch.autocast("cpu", dtype=torch.bfloat16, enabled=on)
    with context:
        return loss()


def switched_by_the_configuration(loss):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=SETTINGS["amp"]):
        return loss()


@pytest.mark.parametrize("enter", [switched_by_the_device, switched_by_a_flag_of_the_device, kept_in_a_variable])
def test_a_switch_that_the_device_throws_is_not_judged(enter):
    assert with_switch(enter) is Status.SKIP


def test_a_switch_that_has_nothing_to_do_with_the_device_is_judged():
    assert with_switch(switched_by_the_configuration) is Status.FAIL


def test_without_a_claim_nothing_is_asked():
    assert verdict(nullcontext, claim=None) is Status.SKIP


def test_a_model_cast_to_bf16_is_in_bf16():
    toy = TOYS["classifier"]()
    cast = toy.map_model(lambda model: model.to(torch.bfloat16))
    cast = replace(cast.with_claims(precision="bf16"), loss=lambda model, batch: _in_bf16(model, batch))
    assert answer(precision.check, cast).status is Status.PASS


def _in_bf16(model, batch):
    return torch.nn.functional.cross_entropy(model(batch["features"].bfloat16()).float(), batch["label"])
