"""Parameters that stay where they are for a good reason, and one that does not."""

import torch
from torch import nn

from gonogo.checks.model.moving import moving
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject


def verdict(optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1), after=lambda m, c: None, **given):
    generator = torch.Generator().manual_seed(1)
    batches = [torch.randn(8, 4, generator=generator) for _ in range(3)]
    calls = [0]

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(batch), batch.sum(1, keepdim=True))
        loss.backward()
        optimizer.step()
        calls[0] += 1
        after(model, calls[0])
        return float(loss.detach())

    subject = Subject(
        "by hand",
        model=given.pop("model", lambda: nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))),
        loss=lambda model, batch: nn.functional.mse_loss(model(batch), batch.sum(1, keepdim=True)),
        optimizer=optimizer,
        step=step,
        splits={"train": batches},
        claims=Claims(**given),
    )
    return answer(moving.check, subject).status


def put_back(model, _):
    with torch.no_grad():
        model[0].bias.copy_(torch.zeros(8))


def zero_bias():
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    nn.init.zeros_(model[0].bias)
    return model


def test_a_weight_that_is_put_back_after_every_step_is_named():
    assert verdict(after=put_back, model=zero_bias) is Status.FAIL


def test_what_is_claimed_to_be_frozen_may_be_put_back():
    assert verdict(after=put_back, model=zero_bias, frozen=("0.bias",)) is Status.PASS


def test_a_group_without_learning_rate_may_stay():
    def groups(model):
        return torch.optim.SGD(
            [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[2].parameters(), "lr": 0.1}]
        )

    assert verdict(groups) is Status.PASS


def test_updates_that_round_to_nothing_are_for_another_check():
    assert verdict(lambda model: torch.optim.SGD(model.parameters(), lr=1e-12)) is Status.PASS


def test_clamped_weights_may_stay_at_their_bound_in_part():
    def clamp(model, _):
        with torch.no_grad():
            model[0].weight.clamp_(-0.1, 0.1)

    assert verdict(after=clamp) is Status.PASS


class Flattening(torch.optim.Optimizer):
    """Flattens its parameters; of those that are not contiguous that makes a copy."""

    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 0.1})

    @torch.no_grad()
    def step(self, closure=None):
        for parameter in self.param_groups[0]["params"]:
            parameter.detach().reshape(-1).sub_(0.1 * parameter.grad.reshape(-1))


def transposed():
    layer = nn.Linear(4, 8)
    layer.weight = nn.Parameter(torch.randn(4, 8).t())
    return nn.Sequential(layer, nn.Tanh(), nn.Linear(8, 1))


def test_an_update_of_a_copy_is_found():
    assert verdict(lambda model: Flattening(model.parameters()), model=transposed) is Status.FAIL


def test_an_optimizer_that_flattens_contiguous_weights_is_right():
    assert verdict(lambda model: Flattening(model.parameters())) is Status.PASS
