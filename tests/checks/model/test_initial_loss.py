"""First losses that are those of guessing, those that are not, and those that need not be."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.model.initial_loss import initial_loss
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

GENERATOR = torch.Generator().manual_seed(3)
X, Y = torch.randn(64, 8, generator=GENERATOR), torch.randint(10, (64,), generator=GENERATOR)


def result(model, loss, batch=(X, Y)):
    return answer(initial_loss.check, Subject("by hand", model=model, loss=loss, splits={"train": [batch]}))


def head(scale, bias=0.0):
    layer = nn.Linear(8, 10)
    nn.init.normal_(layer.weight, std=scale)
    nn.init.constant_(layer.bias, bias)
    return layer


def cross_entropy(model, batch):
    return functional.cross_entropy(model(batch[0]), batch[1])


def log_likelihood(model, batch):
    return functional.nll_loss(model(batch[0]).log_softmax(-1), batch[1])


@pytest.mark.parametrize("loss", [cross_entropy, log_likelihood])
@pytest.mark.parametrize(("scale", "expected"), [(0.3, Status.PASS), (10.0, Status.WARN)])
def test_a_head_that_starts_too_large_is_noticed(loss, scale, expected):
    assert result(lambda: head(scale), loss).status is expected


def test_a_head_over_positions_and_a_convolution_are_heads_too():
    x, y = torch.randn(8, 6, 8), torch.randint(10, (8, 6), generator=GENERATOR)
    late = lambda model, batch: functional.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())  # noqa: E731
    assert result(lambda: head(10.0), late, (x, y)).status is Status.WARN
    pictures = torch.randn(8, 8, 4, 4), torch.randint(10, (8, 4, 4), generator=GENERATOR)

    def convolution():
        layer = nn.Conv2d(8, 10, 1)
        nn.init.normal_(layer.weight, std=10.0)
        return layer

    assert result(convolution, cross_entropy, pictures).status is Status.WARN


class Writer(nn.Module):
    """Tied to an embedding of standard deviation one, as torch makes it."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(10, 64), nn.Linear(64, 10, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(functional.layer_norm(self.embed(ids), (64,)))


def test_a_tied_head_a_mixture_and_similarities_have_scales_of_their_own():
    ids = torch.randint(10, (16, 12), generator=GENERATOR)

    def next_token(model, batch):
        return functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())

    assert result(Writer, next_token, ids).status is Status.PASS
    gated = lambda model, batch: functional.cross_entropy(2.0 * model(batch[0]), batch[1])  # noqa: E731
    assert result(lambda: head(10.0), gated).status is Status.PASS


def test_a_choice_among_the_batch_is_no_class_and_an_adversary_has_no_prior():
    towers = lambda model, batch: functional.cross_entropy(9 * model(batch[0]) @ model(batch[0]).T, torch.arange(64))  # noqa: E731
    assert result(lambda: head(1.0), towers).status is Status.SKIP
    real = lambda model, batch: functional.binary_cross_entropy_with_logits(model(batch[0]), torch.ones(64, 10))  # noqa: E731
    assert result(lambda: head(10.0), real).status is Status.SKIP


def test_a_bias_set_to_a_rare_class_starts_low_by_right():
    y = torch.zeros(64, 10)
    y[::32, 0] = 1.0
    binary = lambda model, batch: functional.binary_cross_entropy_with_logits(model(batch[0]), batch[1])  # noqa: E731
    assert result(lambda: head(0.01, bias=-5.0), binary, (X, y)).status is Status.PASS


def test_the_answer_in_the_input_is_noticed():
    x = 20 * functional.one_hot(Y, 10).float()

    def copier():
        layer = nn.Linear(10, 10, bias=False)
        nn.init.eye_(layer.weight)
        return layer

    assert result(copier, cross_entropy, (x, Y)).status is Status.WARN
