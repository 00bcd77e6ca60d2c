"""Numbers that are finite in training only, or in evaluation only after training."""

import torch
from torch import nn

from gonogo.checks.model.nonfinite_values import nonfinite_values
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject


class Scaled(nn.Module):
    """Divides by a deviation that training measures; before, it is zero."""

    def __init__(self, follows=True):
        super().__init__()
        self.layer, self.follows = nn.Linear(3, 1), follows
        self.register_buffer("deviation", torch.zeros(()))

    def forward(self, x):
        if self.training and self.follows:
            self.deviation.copy_(x.std())
        return self.layer(x) / (x.std() if self.training else self.deviation)


def verdict(build):
    data = lambda: [torch.randn(4, 3, generator=torch.Generator().manual_seed(s)) for s in range(2)]  # noqa: E731
    given = Subject("by hand", model=build, loss=lambda m, x: m(x).square().mean(), splits={"train": data})
    return answer(nonfinite_values.check, given).status


def test_statistics_that_training_fills_first_are_right():
    assert verdict(Scaled) is Status.PASS


def test_a_loss_that_is_infinite_in_evaluation_alone_is_found():
    assert verdict(lambda: Scaled(follows=False)) is Status.FAIL


class Detector(nn.Module):
    """Answers a mapping outside training, on which there is no loss."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, x):
        return self.layer(x) if self.training else {"boxes": self.layer(x)}


def test_a_model_without_a_loss_in_evaluation_is_left_alone():
    assert verdict(Detector) is Status.PASS
