"""Calls of loss functions, and logarithms on the way to what they are given."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.instruments.loss.interception import LossCalls, class_scores, has_logarithm, recorded
from gonogo.training.session import Session
from gonogo.training.subject import Subject

W = nn.Parameter(torch.randn(5, 3, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (W.log_softmax(-1), True),
        (2 * W.log_softmax(-1).view(3, 5), True),
        (W - W.exp().sum(-1, keepdim=True).log(), True),
        (W - W.logsumexp(-1, keepdim=True), True),
        (-functional.softplus(-W), True),
        (W.softmax(-1), False),
        (functional.gelu(W @ W.T), False),
        (W.detach().log_softmax(-1), False),
    ],
)
def test_logarithms_are_found_in_the_graph(tensor, expected):
    assert has_logarithm(tensor) is expected


def test_each_call_is_noted_once_with_what_came_out():
    target = torch.tensor([0, 1, 2, 0, -100])
    with LossCalls() as seen:
        loss = nn.CrossEntropyLoss(ignore_index=-100)(W, target) + functional.mse_loss(W, torch.zeros(5, 3))
    first, second = seen.calls
    assert (first.name, second.name) == ("cross_entropy", "mse_loss")
    assert first.result is not None and second.result is not None  # noqa: PT018
    assert torch.equal(first.result + second.result, loss)
    assert (first.classes, first.ignore_index) == (3, -100)
    assert class_scores(first).shape == (5, 3)


def test_a_label_without_a_class_is_noted_before_torch_refuses_it():
    subject = Subject(
        "by hand",
        model=lambda: nn.Linear(2, 2),
        loss=lambda model, batch: functional.cross_entropy(model(batch[0]), batch[1]),
        splits={"train": [(torch.zeros(3, 2), torch.tensor([0, 1, 2]))]},
    )
    session = Session(subject)
    [batch] = session.batches(limit=1)
    calls, loss = recorded(session, session.model, batch)
    assert loss is None
    assert calls[0].result is None
    assert calls[0].target.tolist() == [0, 1, 2]
    assert session.model.training
