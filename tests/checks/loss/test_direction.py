"""Losses with minus signs that belong there, and without those that do."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.loss.direction import direction
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

GENERATOR = torch.Generator().manual_seed(1)
X, Y = torch.randn(32, 6, generator=GENERATOR), torch.randint(4, (32,), generator=GENERATOR)


def verdict(loss, **options):
    subject = Subject(
        "by hand",
        model=lambda: nn.Linear(6, 4),
        loss=loss,
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1, **options),
        splits={"train": [(X, Y)]},
    )
    return answer(direction.check, subject).status


def entropy(model, batch):
    return functional.cross_entropy(model(batch[0]), batch[1])


def rewarded(model, batch):
    reward = batch[0][:, 0] - 1
    return (functional.cross_entropy(model(batch[0]), batch[1], reduction="none") * reward).mean()


def written(model, batch):
    return -model(batch[0]).log_softmax(-1)[torch.arange(32), batch[1]].mean()


@pytest.mark.parametrize("loss", [entropy, written, rewarded])
def test_downhill_is_right(loss):
    assert verdict(loss) is Status.PASS


@pytest.mark.parametrize("loss", [entropy, written])
def test_uphill_is_wrong_unless_the_optimizer_goes_uphill(loss):
    assert verdict(lambda m, b: -loss(m, b)) is Status.FAIL
    assert verdict(lambda m, b: -loss(m, b), maximize=True) is Status.PASS
    assert verdict(loss, maximize=True) is Status.FAIL


def test_a_negative_term_beside_others_is_a_warning():
    assert verdict(lambda m, b: entropy(m, b) - 0.1 * entropy(m, (b[0], 3 - b[1]))) is Status.WARN


def pseudo_labels(threshold):
    def loss(model, batch):
        sure, guess = model(batch[0]).detach().softmax(-1).max(-1)
        each = functional.cross_entropy(model(batch[0]), guess, reduction="none")
        return entropy(model, batch) + (each * (sure > threshold)).mean()

    return loss


def test_a_mask_that_lets_no_sample_through_yet_is_no_dead_term_but_a_detached_one_is():
    assert verdict(pseudo_labels(0.999)) is Status.PASS
    assert verdict(lambda m, b: entropy(m, b) + pseudo_labels(0)(m, b).detach()) is Status.WARN


def test_a_loss_that_the_model_computes_by_itself_beside_the_one_that_is_used_is_no_dead_term():
    def weighted(model, batch):
        scores = model(batch[0])
        functional.cross_entropy(scores, batch[1])
        return functional.cross_entropy(scores, batch[1], weight=torch.tensor([1.0, 2, 3, 4]))

    assert verdict(weighted) is Status.PASS


def divergence(mean, log_variance):
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).mean()


def free_variance(mean, log_variance):
    return 0.5 * (log_variance + mean.square() * (-log_variance).exp()).mean()


def critic(mean, log_variance):
    return mean.mean() - log_variance.mean()


def entropy_bonus(mean, log_variance):
    return (mean.softmax(-1) * mean.log_softmax(-1)).sum(-1).mean()


@pytest.mark.parametrize("term", [divergence, free_variance, critic, entropy_bonus])
def test_terms_that_are_bounded_or_fall_one_way_only_are_right(term):
    assert verdict(lambda m, b: entropy(m, b) + term(*m(b[0]).chunk(2, -1))) is Status.PASS


def test_a_written_out_term_that_falls_both_ways_is_doubted():
    assert verdict(lambda m, b: entropy(m, b) - m(b[0]).square().mean()) is Status.WARN
