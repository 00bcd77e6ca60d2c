"""What goes into loss functions: scores, logarithms and probabilities, in odd but right places and in wrong ones."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from gonogo.checks.loss.probabilities import probabilities
from gonogo.checks.loss.raw_scores import raw_scores
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

GENERATOR = torch.Generator().manual_seed(1)
ROWS = [(torch.randn(6, generator=GENERATOR), int(torch.randint(4, (), generator=GENERATOR))) for _ in range(64)]


class Net(nn.Module):
    """Scores; `end` comes last, in the modes that it says."""

    def __init__(self, end="none"):
        super().__init__()
        self.layers, self.end = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4)), end

    def forward(self, x):
        scores = self.layers(x)
        if self.end == "softmax" or (self.end == "softmax in evaluation" and not self.training):
            return scores.softmax(-1)
        return scores.sigmoid() if self.end == "sigmoid" else scores


def entropy(model, batch):
    return functional.cross_entropy(model(batch[0]), batch[1])


def bonus(model, batch):
    scores = model(batch[0])
    p = scores.softmax(-1)
    return functional.cross_entropy(scores, batch[1]) + 0.1 * (p * p.clamp_min(1e-9).log()).sum(-1).mean()


def each_class(model, batch):
    return functional.binary_cross_entropy_with_logits(model(batch[0]), functional.one_hot(batch[1], 4).float())


def focal(model, batch):
    logs = model(batch[0]).log_softmax(-1)
    return functional.nll_loss((1 - logs.exp()) ** 2 * logs, batch[1])


def rewarded(model, batch):
    logs = model(batch[0]).log_softmax(-1)
    return functional.nll_loss(logs * batch[0][:, :1].detach(), batch[1])


def mixture(model, batch):
    p = model(batch[0]).softmax(-1)
    return functional.nll_loss((0.4 * p + 0.4 * p.flip(-1) + 1e-6).log(), batch[1])


def by_hand(model, batch):
    scores = model(batch[0])
    return functional.nll_loss(scores - scores.exp().sum(-1, keepdim=True).log(), batch[1])


def distilled(model, batch):
    scores = model(batch[0])
    return functional.kl_div(scores.log_softmax(-1), scores.detach().flip(-1).softmax(-1), reduction="batchmean")


def exchanged(model, batch):
    scores = model(batch[0])
    return functional.kl_div(scores.softmax(-1), scores.detach().flip(-1).log_softmax(-1), reduction="batchmean")


def unlogged(model, batch):
    return functional.nll_loss(model(batch[0]).softmax(-1), batch[1])


def raw(model, batch):
    return functional.nll_loss(model(batch[0]), batch[1])


def verdict(check, loss, end="none"):
    subject = Subject(
        "by hand", model=lambda: Net(end), loss=loss, splits={"train": lambda: DataLoader(ROWS, 16, shuffle=True)}
    )
    return answer(check, subject).status


@pytest.mark.parametrize(
    ("loss", "end", "expected"),
    [
        (entropy, "none", Status.PASS),
        (entropy, "softmax in evaluation", Status.PASS),
        (bonus, "none", Status.PASS),
        (each_class, "none", Status.PASS),
        (entropy, "softmax", Status.FAIL),
        (each_class, "sigmoid", Status.FAIL),
    ],
)
def test_a_loss_with_its_own_softmax_is_given_scores(loss, end, expected):
    assert verdict(probabilities.check, loss, end) is expected


@pytest.mark.parametrize("loss", [focal, rewarded, mixture, by_hand, distilled])
def test_logarithms_may_be_weighted_mixed_or_made_by_hand(loss):
    assert verdict(raw_scores.check, loss) is Status.PASS


@pytest.mark.parametrize("loss", [raw, unlogged, exchanged])
def test_what_never_was_a_logarithm_is_found(loss):
    assert verdict(raw_scores.check, loss) is Status.FAIL
