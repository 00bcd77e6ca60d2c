"""Windows of several calls that no claim speaks of."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.gradient.accumulation import accumulation
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject


def program(clear):
    calls = [0]
    generator = torch.Generator().manual_seed(0)
    batches = [(x, x.sum(1)) for x in torch.randn(6, 12, 5, generator=generator)]

    def loss(model, batch):
        return functional.mse_loss(model(batch[0]).squeeze(1), batch[1])

    def step(model, optimizer, batch):
        if clear:
            optimizer.zero_grad()
        value = loss(model, batch)
        (value / 3).backward()
        calls[0] += 1
        if calls[0] % 3 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return value.item()

    return Subject(
        "by hand",
        model=lambda: nn.Linear(5, 1),
        loss=loss,
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.01),
        step=step,
        splits={"train": batches},
    )


@pytest.mark.parametrize(("clear", "expected"), [(True, Status.FAIL), (False, Status.SKIP)])
def test_micro_batches_whose_gradients_are_thrown_away_are_found_without_a_claim(clear, expected):
    result = answer(accumulation.check, program(clear))
    assert result.status is expected
    assert expected is Status.FAIL or "say Claims(accumulation=3)" in result.reason
