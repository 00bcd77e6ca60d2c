"""Teachers, and frozen parts that draw on purpose."""

import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.model.frozen import frozen
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject


class Pair(nn.Module):
    """A student and a frozen part with dropout, which teaches it or stands before it."""

    def __init__(self, before=False, calm=False):
        super().__init__()
        self.old = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)).requires_grad_(False)
        self.new, self.before, self.calm = nn.Linear(4, 4), before, calm

    def train(self, mode=True):
        super().train(mode)
        if self.calm:
            self.old.eval()
        return self

    def forward(self, x):
        return self.new(self.old(x) if self.before else x)


def verdict(model, noise=0.0, **claims):
    def loss(model, x):
        return functional.mse_loss(model(x), model.old(x + noise * torch.randn_like(x)))

    given = Subject(
        "by hand",
        model=model,
        loss=loss,
        optimizer=lambda model: torch.optim.SGD(model.new.parameters(), 0.1),
        splits={"train": lambda: [torch.randn(8, 4, generator=torch.Generator().manual_seed(0))]},
        claims=Claims(frozen=("old",), **claims),
    )
    return answer(frozen.check, given).status


def test_a_teacher_that_drops_out_is_found():
    assert verdict(Pair) is Status.FAIL


def test_a_calm_teacher_passes():
    assert verdict(lambda: Pair(calm=True)) is Status.PASS


def test_a_frozen_base_may_drop_out_before_the_layers_that_train():
    assert verdict(lambda: Pair(before=True)) is Status.PASS


def test_a_teacher_that_sees_other_views_each_time_is_not_accused():
    assert verdict(lambda: Pair(calm=True), noise=1.0) is Status.PASS


def test_a_teacher_that_is_claimed_to_draw_passes():
    assert verdict(Pair, stochastic=True) is Status.PASS


class InPieces(Pair):
    """The loss calls the parts, never the whole."""

    def forward(self, x):
        raise AssertionError("not called")


def in_pieces(before=False, **given):
    def loss(model, x):
        answer = model.new(model.old(x) if model.before else x)
        return functional.mse_loss(answer, x if model.before else model.old(x))

    subject = Subject(
        "by hand",
        model=lambda: InPieces(before=before, **given),
        loss=loss,
        optimizer=lambda model: torch.optim.SGD(model.new.parameters(), 0.1),
        splits={"train": lambda: [torch.randn(8, 4, generator=torch.Generator().manual_seed(0))]},
        claims=Claims(frozen=("old",)),
    )
    return answer(frozen.check, subject).status


def test_a_teacher_is_known_by_the_parts_that_are_trained():
    assert in_pieces() is Status.FAIL
    assert in_pieces(calm=True) is Status.PASS
    assert in_pieces(before=True) is Status.PASS
