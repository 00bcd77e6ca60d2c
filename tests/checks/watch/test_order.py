"""Sorted data is seen under yes-or-no losses too, and what a discriminator is asked is not sorted."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gonogo.checks.watch.order import order
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject
from gonogo.watch.inside import record


def status(labels, targets) -> Status:
    """Of a pass in the order of the data, in which the model is asked for each of `targets(y)` in turn."""
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for x, y in DataLoader(TensorDataset(torch.randn(64, 3), labels), 8):
            optimizer.zero_grad()
            for target in targets(y):
                nn.functional.binary_cross_entropy_with_logits(model(x), target).backward()
            optimizer.step()

    return answer(order.check, Subject(name="loop", recording=record(loop))).status


YES = torch.ones(8, 1)


@pytest.mark.parametrize(
    ("labels", "targets", "expected"),
    [
        (torch.arange(64) // 32, lambda y: [y[:, None].float()], Status.FAIL),
        (torch.arange(64) % 2, lambda y: [y[:, None].float()], Status.PASS),
        (torch.arange(64), lambda y: [YES, 0 * YES], Status.PASS),
    ],
    ids=["sorted", "mixed", "a discriminator"],
)
def test_sorted_answers_of_yes_and_no_are_found(labels, targets, expected):
    assert status(labels, targets) is expected
