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


@pytest.mark.parametrize(
    "context",
    [lambda: torch.autocast("cpu", dtype=torch.bfloat16, enabled=False), nullcontext],
    ids=["switched off", "no context"],
)
def test_what_is_switched_off_on_a_cpu_is_not_judged(context):
    assert verdict(context) is Status.SKIP


def test_without_a_claim_nothing_is_asked():
    assert verdict(nullcontext, claim=None) is Status.SKIP


def test_a_model_cast_to_bf16_is_in_bf16():
    toy = TOYS["classifier"]()
    cast = toy.map_model(lambda model: model.to(torch.bfloat16))
    cast = replace(cast.with_claims(precision="bf16"), loss=lambda model, batch: _in_bf16(model, batch))
    assert answer(precision.check, cast).status is Status.PASS


def _in_bf16(model, batch):
    return torch.nn.functional.cross_entropy(model(batch["features"].bfloat16()).float(), batch["label"])
