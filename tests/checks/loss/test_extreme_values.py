"""Logarithms of probabilities that are guarded, and one that is not."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.loss.extreme_values import extreme_values
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

GENERATOR = torch.Generator().manual_seed(1)
X, Y = torch.randn(32, 6, generator=GENERATOR), torch.randint(4, (32,), generator=GENERATOR)


def verdict(loss):
    return answer(
        extreme_values.check,
        Subject("by hand", model=lambda: nn.Linear(6, 4), loss=loss, splits={"train": [(X, Y)]}),
    ).status


def consistency(model, batch):
    p, q = model(batch[0]).softmax(-1), model(batch[0].flip(-1)).softmax(-1)
    return (p * (p.log() - q.log())).sum(-1).mean()


@pytest.mark.parametrize(
    "loss",
    [
        lambda m, b: functional.cross_entropy(m(b[0]), b[1]),
        lambda m, b: functional.nll_loss((m(b[0]).softmax(-1) + 1e-8).log(), b[1]),
        lambda m, b: functional.nll_loss(m(b[0]).softmax(-1).clamp_min(1e-8).log(), b[1]),
        lambda m, b: functional.nll_loss(m(b[0]).softmax(-1).log().clamp_min(-100), b[1]),
        lambda m, b: (m(b[0]).exp() - b[0][:, :4]).square().mean(),
    ],
    ids=["scores", "with epsilon", "clamped before", "clamped after", "no probability"],
)
def test_guarded_losses_are_not_accused(loss):
    assert verdict(loss) in (Status.PASS, Status.SKIP)


@pytest.mark.parametrize("loss", [consistency, lambda m, b: functional.nll_loss(m(b[0]).softmax(-1).log(), b[1])])
def test_a_plain_logarithm_of_probabilities_is_noticed(loss):
    assert verdict(loss) is Status.WARN
