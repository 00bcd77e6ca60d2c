"""Samples that reach each other from the front, from behind, or only because there is no room."""

import torch
from torch import nn

from gonogo.checks.model.batch_mixing import batch_mixing
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject


class Model(nn.Module):
    """A layer, and what comes of its answers."""

    def __init__(self, then, name="layer"):
        super().__init__()
        self.add_module(name, nn.Linear(4, 2))
        self.name, self.then = name, then

    def forward(self, x):
        return self.then(self.get_submodule(self.name)(x))


def room_for_five(scores):
    first = scores.argmax(1) == 0
    return scores * ((first.cumsum(0) <= 5) | ~first)[:, None]


def verdict(*model):
    data = lambda: [torch.randn(8, 4, generator=torch.Generator().manual_seed(s)) for s in range(4)]  # noqa: E731
    loss = lambda model, x: model(x).square().mean()  # noqa: E731
    return answer(batch_mixing.check, Subject("by hand", lambda: Model(*model), loss, splits={"train": data})).status


def test_samples_that_are_alone_pass():
    assert verdict(lambda scores: scores.cumsum(1)) is Status.PASS


def test_a_sum_along_the_batch_is_found_from_either_end():
    assert verdict(lambda scores: scores.cumsum(0)) is Status.FAIL
    assert verdict(lambda scores: scores.flip(0).cumsum(0).flip(0)) is Status.FAIL


def test_experts_without_room_turn_the_last_ones_away_by_design():
    assert verdict(room_for_five, "experts") is Status.PASS
