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


class Heads(nn.Module):
    """Scores of three streams."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList([nn.Linear(6, 4) for _ in range(3)])

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [head(x) for head in self.heads]


def of_streams(loss) -> Status:
    def whole(model, batch):
        streams = model(batch[0])
        return sum(functional.cross_entropy(scores, batch[1]) for scores in streams) + 0.1 * loss(streams)

    subject = Subject("three streams", model=Heads, loss=whole, splits={"train": [(X, Y)]})
    return answer(extreme_values.check, subject).status


def symmetric(streams):
    p, q, _ = (scores.softmax(-1) for scores in streams)
    return functional.kl_div(q.log(), p, reduction="batchmean") + functional.kl_div(p.log(), q, reduction="batchmean")


def to_the_mean(streams):
    each = [scores.softmax(-1) for scores in streams]
    mean = torch.stack(each).sum(0) / 3
    return sum(functional.kl_div(mean.log(), one, reduction="batchmean") for one in each)


def to_stacked_mean(streams):
    each = torch.stack([scores.softmax(-1) for scores in streams])
    return (each.mean(0) * each.mean(0).log()).sum(-1).mean()


def of_one_class(streams):
    return -streams[0].softmax(-1)[:, 0].log().mean()


def product_of_streams(streams):
    one, two, three = (scores.softmax(-1) for scores in streams)
    return functional.nll_loss((one * two * three).log(), Y)


@pytest.mark.requirement("MAFT-2.5")
@pytest.mark.parametrize("loss", [symmetric, of_one_class, to_the_mean, to_stacked_mean, product_of_streams])
def test_consistency_of_several_heads_must_bear_sure_scores(loss):
    assert of_streams(loss) is Status.WARN


@pytest.mark.parametrize(
    "loss",
    [
        lambda s: functional.kl_div(s[0].log_softmax(-1), s[1].softmax(-1), reduction="batchmean"),
        lambda s: functional.kl_div(s[0].log_softmax(-1), s[1].log_softmax(-1), reduction="batchmean", log_target=True),
        lambda s: functional.nll_loss(((s[0].softmax(-1) + s[1].softmax(-1)) / 2 + 1e-6).log(), Y),
        lambda s: functional.nll_loss(torch.log(sum(x.softmax(-1) for x in s) + torch.full((4,), 1e-6)), Y),
    ],
    ids=["log_softmax", "logarithmic target", "with epsilon", "with a tensor of epsilons"],
)
def test_consistency_that_is_guarded_is_not_accused(loss):
    assert of_streams(loss) is Status.PASS
