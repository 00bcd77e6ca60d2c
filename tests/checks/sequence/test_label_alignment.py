"""Hand-made objectives: odd ones that are right, and shifts that are wrong."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.sequence.label_alignment import label_alignment
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

V, T, D = 13, 10, 16


class Recurrent(nn.Module):
    """Shifts as told: of the input by `begin`, of the labels inside by `inside`."""

    def __init__(self, begin=False, inside=0, both_ways=False) -> None:
        super().__init__()
        self.embed, self.rnn = nn.Embedding(V, D), nn.GRU(D, D, batch_first=True, bidirectional=both_ways)
        self.head, self.begin, self.inside = nn.Linear(D * (1 + both_ways), V), begin, inside

    def forward(self, ids, labels=None):
        x = functional.pad(ids[:, :-1], (1, 0)) if self.begin else ids
        logits = self.head(self.rnn(self.embed(x))[0])
        if labels is None:
            return logits
        k = self.inside
        loss = functional.cross_entropy(logits[:, : T - k].reshape(-1, V), labels[:, k:].reshape(-1))
        return {"loss": loss, "logits": logits}


def batches():
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(1, V, (6, T + 2), generator=generator) for _ in range(3)]


def verdict(build, loss, **claims):
    given = Subject("hand-made", model=build, loss=loss, splits={"train": batches}, claims=Claims(**claims))
    return answer(label_alignment.check, given).status


def windows(shift):
    """Input and labels as two windows of one row, the second `shift` later."""

    def loss(model, rows):
        logits = model(rows[:, :T])
        return functional.cross_entropy(logits.transpose(1, 2), rows[:, shift : T + shift])

    return loss


@pytest.mark.parametrize(("shift", "expected"), [(1, Status.PASS), (0, Status.FAIL), (2, Status.FAIL)])
def test_the_labels_of_a_window_stand_one_later(shift, expected):
    assert verdict(Recurrent, windows(shift), causal=True) is expected


@pytest.mark.parametrize(("inside", "outside", "expected"), [(1, 0, 0), (0, 1, 0), (0, 0, 3), (1, 1, 3)])
def test_labels_passed_to_the_model_are_shifted_once(inside, outside, expected):
    def loss(model, rows):
        return model(rows[:, :T], labels=rows[:, outside : T + outside])["loss"]

    assert verdict(lambda: Recurrent(inside=inside), loss, causal=True) == expected


def test_a_model_that_moves_its_input_behind_a_begin_is_asked_for_what_stands_there():
    assert verdict(lambda: Recurrent(begin=True), windows(0), causal=True) is Status.PASS


def test_an_own_cross_entropy_is_read_as_well():
    def loss(model, rows):
        wanted = functional.one_hot(rows[:, 1 : T + 1], V)
        return -(model(rows[:, :T]).log_softmax(-1) * (0.9 * wanted + 0.1 / V)).sum(-1).mean()

    assert verdict(Recurrent, loss, causal=True) is Status.PASS


def test_an_autoencoder_without_claims_is_not_asked():
    assert verdict(lambda: Recurrent(both_ways=True), windows(0)) is Status.SKIP


def test_tags_are_not_tokens():
    def loss(model, rows):
        return functional.cross_entropy(model(rows[:, :T]).transpose(1, 2), rows[:, :T] % 3)

    assert verdict(Recurrent, loss, causal=True) is Status.SKIP


def test_masked_tokens_are_no_copy():
    def loss(model, rows):
        hidden = torch.arange(T) % 4 == 1
        labels = rows[:, :T].masked_fill(~hidden, -100)
        return functional.cross_entropy(model(rows[:, :T].masked_fill(hidden, 0)).transpose(1, 2), labels)

    assert verdict(lambda: Recurrent(both_ways=True), loss) is Status.SKIP


def test_regression_is_not_asked():
    def loss(model, rows):
        return (model(rows[:, :T]) - 1.0).square().mean()

    assert verdict(Recurrent, loss, causal=True) is Status.SKIP


class StepsFirst(nn.Module):
    """Positions on the first axis, logits flattened: how recurrent language models were written."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.rnn, self.head = nn.Embedding(V, D), nn.GRU(D, D), nn.Linear(D, V)

    def forward(self, ids):
        return self.head(self.rnn(self.embed(ids))[0]).view(-1, V)


@pytest.mark.parametrize(("shift", "expected"), [(1, Status.PASS), (0, Status.FAIL), (2, Status.FAIL)])
def test_positions_on_the_first_axis_are_read_as_such(shift, expected):
    def loss(model, rows):
        return functional.cross_entropy(model(rows[:, :T].T), rows[:, shift : T + shift].T.reshape(-1))

    assert verdict(StepsFirst, loss, causal=True) is expected


class Tied(Recurrent):
    """Tied embeddings of size one are sure of the token that they see: its gradient is zero."""

    def forward(self, ids):
        x = functional.normalize(self.embed(ids), dim=-1) * 100
        return x @ functional.normalize(self.embed.weight, dim=-1).T + 1e-3 * self.rnn(x)[0].sum(-1, keepdim=True)


@pytest.mark.parametrize(("shift", "expected"), [(1, Status.PASS), (0, Status.FAIL)])
def test_a_model_that_is_sure_of_itself_is_read_as_well(shift, expected):
    assert verdict(Tied, windows(shift), causal=True) is expected
