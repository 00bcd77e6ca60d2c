"""When means that are added up are told: only where their number changes the update."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gonogo.checks.watch.loss_gradient import loss_gradient
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject
from gonogo.watch.inside import record


def undivided(loss=lambda loss: loss, kind=torch.optim.SGD, clip=False, shared=False) -> float:
    """What is told of six updates of three micro-batches each."""
    model = nn.Linear(3, 2)
    optimizer = kind(model.parameters(), lr=0.01)
    y = torch.arange(4) % 2

    def loop():
        for _ in range(6):
            scores = model(torch.randn(4, 3))
            for _ in range(3):
                scores = scores if shared else model(torch.randn(4, 3))
                loss(cross_entropy(scores, y)).backward(retain_graph=shared)
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    found = answer(loss_gradient.check, Subject(name="loop", recording=record(loop))).observation
    return found.measurements["undivided"].value


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, 3),
        ({"kind": torch.optim.Adam, "clip": True}, 3),
        ({"kind": torch.optim.Adam}, 1),
        ({"loss": lambda loss: loss / 3}, 1),
        ({"shared": True}, 1),
    ],
    ids=["SGD", "clipped", "Adam divides it out", "divided", "tasks of one forward pass"],
)
def test_means_that_are_added_up_are_told_where_their_number_counts(how, expected):
    assert undivided(**how) == expected
