"""Towards the target or away from it, on losses written out by hand."""

import torch
from torch import nn

from gonogo.instruments.loss.pull import pull
from gonogo.training.session import Session
from gonogo.training.subject import Subject

GENERATOR = torch.Generator().manual_seed(1)
X = torch.randn(32, 6, generator=GENERATOR)
VALUES, LABELS = torch.randn(32, generator=GENERATOR), torch.randint(4, (32,), generator=GENERATOR)


def away(loss, target, width, model=None):
    subject = Subject(
        "by hand", model=model or (lambda: nn.Linear(6, width)), loss=loss, splits={"train": [(X, target)]}
    )
    session = Session(subject)
    return pull(session, session.model, (X, target))


def squares(model, batch):
    return (model(batch[0]).squeeze(-1) - batch[1]).square().mean()


def likelihood(model, batch):
    return -model(batch[0]).log_softmax(-1)[torch.arange(32), batch[1]].mean()


class Distances(nn.Linear):
    def forward(self, x):
        return torch.cdist(x, self.weight)


def test_proper_losses_pull_towards_their_targets():
    assert away(squares, VALUES, 1) == 0
    assert away(likelihood, LABELS, 4) == 0


def test_with_a_minus_they_pull_away():
    assert away(lambda m, b: -squares(m, b), VALUES, 1) == 1
    assert away(lambda m, b: -likelihood(m, b), LABELS, 4) == 1


def test_small_distances_to_the_label_are_wanted():
    def loss(model, batch):
        return -(-model(batch[0])).log_softmax(-1)[torch.arange(32), batch[1]].mean()

    assert away(loss, LABELS, 4, lambda: Distances(6, 4)) is None


def test_what_is_no_target_is_pulled_neither_way():
    share = away(lambda m, b: (m(b[0]).squeeze(-1) - b[0][:, 0]).square().mean(), VALUES, 1)
    assert share is not None
    assert 0 < share < 1
