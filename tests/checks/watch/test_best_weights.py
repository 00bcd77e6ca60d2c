"""Which numbers, called the best, go the wrong way."""

import pytest
import torch
from torch import nn

from gonogo.checks.watch.best_weights import best_weights
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject
from gonogo.watch.inside import record


def wrong(begin: dict[str, float], scores: list[dict[str, float]], better) -> float:
    """How many go the wrong way in a training with these scores, that are kept where `better(new, old)`."""
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        model(torch.randn(4, 3)).square().mean().backward()
        optimizer.step()

    def loop():
        best_loss, best_acc, best_epoch = begin.get("loss"), begin.get("acc"), 0
        step()
        for epoch, score in enumerate(scores):
            with torch.no_grad():
                model(torch.randn(4, 3))
            if better(score, {"loss": best_loss, "acc": best_acc}):
                best_loss, best_acc, best_epoch = score.get("loss"), score.get("acc"), epoch
            step()
        assert best_epoch < len(scores)

    found = answer(best_weights.check, Subject(name="loop", recording=record(loop))).observation
    return found.measurements["wrong_way"].value


def losses(*values):
    return [{"loss": value} for value in values]


def smaller(new, old):
    return new["loss"] < old["loss"]


def larger(new, old):
    return new["loss"] > old["loss"]


BOTH = [{"loss": 0.5, "acc": 0.6}, {"loss": 0.7, "acc": 0.7}, {"loss": 0.9, "acc": 0.8}]


@pytest.mark.parametrize(
    ("begin", "scores", "better", "expected"),
    [
        ({"loss": float("inf")}, losses(0.9, 0.7, 0.8), smaller, 0),
        ({"loss": 0.0}, losses(0.9, 0.7, 0.6), larger, 1),
        ({"loss": 0.2}, losses(0.3, 0.4, 0.5), larger, 1),
        ({"loss": 0.2}, losses(0.3, 0.2, 0.1), larger, 0),
        ({"loss": 0.0, "acc": 0.0}, BOTH, lambda new, old: new["acc"] > old["acc"], 0),
    ],
    ids=["smaller is better", "from zero", "twice", "once may be a new fold", "the loss of the best accuracy"],
)
def test_a_best_loss_that_only_rises_is_found(begin, scores, better, expected):
    assert wrong(begin, scores, better) == expected
