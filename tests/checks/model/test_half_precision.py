"""What half precision costs a run: the usual ways to use it first."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.model.half_precision import half_precision
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS


def result(subject):
    return answer(half_precision.check, subject)


def stepping(forward, scaler=None, scale=1.0):
    """The regressor with its own step: the loss of `forward(model, batch)`."""

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        loss = forward(model, batch) * scale
        grow = torch.amp.GradScaler("cpu", init_scale=2.0**12) if scaler else None
        (grow.scale(loss) if grow else loss).backward()
        grow.step(optimizer) if grow else optimizer.step()
        return float(loss.detach())

    return replace(TOYS["regressor"](), step=step)


def within(dtype, *, loss_inside):
    def forward(model, batch):
        with torch.autocast("cpu", dtype=dtype):
            seen = model(batch[0]).squeeze(-1)
            if loss_inside:
                return functional.mse_loss(seen, batch[1])
        return functional.mse_loss(seen.float(), batch[1])

    return forward


def in_bfloat16(rate, optimizer=torch.optim.AdamW):
    toy = TOYS["regressor"]().map_model(lambda model: model.bfloat16())

    def loss(model, batch):
        return functional.mse_loss(model(batch[0].bfloat16()).float().squeeze(-1), batch[1])

    return replace(toy, loss=loss, predict=None, optimizer=lambda model: optimizer(model.parameters(), lr=rate))


@pytest.mark.parametrize("inside", [True, False])
def test_autocast_with_the_loss_inside_or_outside_is_fine(inside):
    assert result(stepping(within(torch.bfloat16, loss_inside=inside))).status is Status.PASS


def test_float16_with_a_loss_scale_is_fine():
    assert result(stepping(within(torch.float16, loss_inside=False), scaler=True, scale=1e-3)).status is Status.PASS


def test_float16_without_a_loss_scale_loses_small_gradients():
    found = result(stepping(within(torch.float16, loss_inside=False), scale=1e-5))
    assert found.status is Status.WARN
    assert "flushed" in found.reason


def test_weights_in_bfloat16_that_move_far_enough_are_fine():
    assert result(in_bfloat16(1e-2)).status is Status.PASS


def test_weights_in_bfloat16_with_a_warm_up_from_zero_are_judged_by_the_rate_that_comes():
    subject = in_bfloat16(1e-2)
    plain = subject.optimizer

    def warming(model):
        optimizer = plain(model)
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (step + 1) / 1e6)
        return optimizer

    assert result(replace(subject, optimizer=warming)).status is Status.PASS


def test_weights_in_bfloat16_that_hardly_move_are_told():
    assert "swallowed" in result(in_bfloat16(1e-5)).reason


def test_an_optimizer_of_the_runs_own_may_round_at_random():
    class Rounding(torch.optim.AdamW):
        pass

    assert result(in_bfloat16(1e-5, Rounding)).status is Status.PASS


def test_a_teacher_in_bfloat16_that_is_not_learned_from_is_fine():
    def forward(model, batch):
        with torch.no_grad():
            functional.log_softmax(model(batch[0]).bfloat16(), -1)
        return functional.mse_loss(model(batch[0]).squeeze(-1), batch[1])

    assert result(stepping(forward)).status is Status.PASS


def test_a_loss_in_bfloat16_is_told():
    def forward(model, batch):
        return functional.mse_loss(model(batch[0]).squeeze(-1).bfloat16(), batch[1].bfloat16()).float()

    assert "half_losses" in result(stepping(forward)).reason


def test_a_sum_in_bfloat16_with_no_digit_left_for_its_small_part_is_told():
    class Cancelling(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.level = inner, nn.Parameter(torch.tensor(1000.0))

        def forward(self, x):
            return self.inner(x) * ((self.level + self.inner(x)).bfloat16() - self.level.bfloat16()).float()

    found = result(replace(TOYS["regressor"]().map_model(Cancelling), predict=None))
    assert found.status is Status.WARN
    assert "gradient_error" in found.reason


def test_full_precision_is_not_asked():
    assert result(TOYS["regressor"]()).status is Status.SKIP
