"""Targets beside predictions: shapes and ranges, odd ones that are right and wrong ones."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from gonogo.checks.loss.broadcast import broadcast
from gonogo.checks.loss.label_range import label_range
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

GENERATOR = torch.Generator().manual_seed(1)
ROWS = [(torch.randn(6, generator=GENERATOR), torch.randn((), generator=GENERATOR)) for _ in range(64)]
SIZE = 16


class Centres(nn.Module):
    """Distances to as many centres as a batch has samples."""

    def __init__(self):
        super().__init__()
        self.centres, self.head = nn.Parameter(torch.linspace(-2, 2, SIZE)), nn.Linear(SIZE, 1)

    def forward(self, x):
        return self.head(torch.exp(-(x[:, :1] - self.centres).square()))


def verdict(check, loss, model=lambda: nn.Linear(6, 1)):
    subject = Subject("by hand", model=model, loss=loss, splits={"train": lambda: DataLoader(ROWS, SIZE, shuffle=True)})
    return answer(check, subject).status


def quantiles(model, batch):
    wanted = batch[1].unsqueeze(-1)
    level = torch.tensor([0.1, 0.5, 0.9])
    gap = wanted - model(batch[0])
    return torch.maximum(level * gap, (level - 1) * gap).mean()


def every_pair_of_quantiles(model, batch):
    found, wanted = model(batch[0]), batch[0][:, :3]
    return functional.smooth_l1_loss(found[:, :, None].expand(-1, -1, 3), wanted[:, None, :].expand(-1, 3, -1))


def ranking(model, batch):
    score = model(batch[0]).squeeze(-1)
    return functional.softplus(-(score[:, None] - score) * torch.sign(batch[1][:, None] - batch[1])).mean()


@pytest.mark.parametrize(
    ("loss", "model"),
    [
        (lambda m, b: functional.mse_loss(m(b[0]).squeeze(-1), b[1]), lambda: nn.Linear(6, 1)),
        (lambda m, b: functional.mse_loss(m(b[0]).squeeze(-1), b[1]), Centres),
        (lambda m, b: functional.mse_loss(m(b[0]), torch.ones(1)), lambda: nn.Linear(6, 1)),
        (quantiles, lambda: nn.Linear(6, 3)),
        (every_pair_of_quantiles, lambda: nn.Linear(6, 3)),
        (ranking, lambda: nn.Linear(6, 1)),
    ],
    ids=["plain", "centres", "one label for all", "quantiles", "pairs", "ranking"],
)
def test_shapes_that_are_meant_to_differ_are_not_accused(loss, model):
    assert verdict(broadcast.check, loss, model) is not Status.FAIL


@pytest.mark.parametrize(
    "loss",
    [
        lambda m, b: functional.mse_loss(m(b[0]), b[1]),
        lambda m, b: (m(b[0]) - b[1]).square().mean(),
        lambda m, b: (b[1] - m(b[0])).abs().mean(),
        lambda m, b: functional.huber_loss(m(b[0]).squeeze(-1), b[1].unsqueeze(-1)),
    ],
)
def test_columns_against_rows_are_found(loss):
    assert verdict(broadcast.check, loss) is Status.FAIL


def binary(shift):
    return lambda m, b: functional.binary_cross_entropy_with_logits(m(b[0]).squeeze(-1), (b[1] > 0).float() + shift)


def test_targets_of_a_binary_loss_lie_between_zero_and_one():
    assert verdict(label_range.check, binary(0.0)) is Status.PASS
    assert verdict(label_range.check, binary(1.0)) is Status.FAIL


def classes(change, **options):
    return lambda m, b: functional.cross_entropy(m(b[0]), change((b[1] > 0).long()), **options)


def test_an_ignored_label_may_be_any_number():
    ignoring = classes(lambda y: y.masked_fill(y == 0, 255), ignore_index=255)
    assert verdict(label_range.check, ignoring, lambda: nn.Linear(6, 2)) is Status.PASS
    assert verdict(label_range.check, classes(lambda y: y + 1), lambda: nn.Linear(6, 2)) is Status.FAIL
