"""Hand-made models with padding: odd ones that are right, and one-line faults."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.sequence.padding import padding
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

V, T, D, PAD = 13, 10, 16, 0


class Encoder(nn.Module):
    """Tokens to one decision; attention, or a recurrent layer, with or without respect for padding."""

    def __init__(self, kind="attention", masked=True, mean="real") -> None:
        super().__init__()
        self.embed = nn.Embedding(V, D, padding_idx=PAD)
        self.mix = nn.MultiheadAttention(D, 2, batch_first=True)
        self.rnn = nn.GRU(D, D // 2, batch_first=True, bidirectional=True)
        self.head, self.kind, self.masked, self.mean = nn.Linear(D, 3), kind, masked, mean

    def forward(self, ids):
        x, pad = self.embed(ids), ids == PAD
        if self.kind == "attention":
            x = x + self.mix(x, x, x, key_padding_mask=pad if self.masked else None)[0]
        elif self.kind == "packed rnn":
            lengths = (~pad).sum(1)
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            x = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=ids.shape[1])[0]
        elif self.kind == "rnn":
            x = self.rnn(x)[0]
        keep = (~pad).unsqueeze(-1)
        return self.head((x * keep).sum(1) / keep.sum(1) if self.mean == "real" else x.mean(1))


def batches():
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, V, (8, T), generator=generator)
    lengths = torch.randint(3, T + 1, (8, 1), generator=generator)
    return [{"ids": ids.masked_fill(torch.arange(T) >= lengths, PAD), "label": ids[:, 0] % 3}]


def loss(model, batch):
    return functional.cross_entropy(model(batch["ids"]), batch["label"])


def verdict(build, loss=loss, batches=batches, **claims):
    given = Subject("hand-made", model=build, loss=loss, splits={"train": batches}, claims=Claims(**claims))
    return answer(padding.check, given).status


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({}, Status.PASS),
        ({"masked": False}, Status.FAIL),
        ({"mean": "all"}, Status.FAIL),
        ({"kind": "packed rnn"}, Status.PASS),
        ({"kind": "rnn"}, Status.WARN),
        ({"kind": "none"}, Status.PASS),
    ],
    ids=str,
)
def test_an_encoder_reads_only_what_is_real(wrong, expected):
    assert verdict(lambda: Encoder(**wrong), pad_id=PAD) is expected


def test_without_a_claim_and_a_mask_nothing_is_taken_for_padding():
    assert verdict(lambda: Encoder(masked=False)) is Status.SKIP


class Causal(nn.Module):
    """A recurrent language model; padding comes after the text and reaches nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.rnn, self.head = nn.Embedding(V, D), nn.GRU(D, D, batch_first=True), nn.Linear(D, V)

    def forward(self, ids):
        return self.head(self.rnn(self.embed(ids))[0])


def next_token(ignored):
    def loss(model, batch):
        ids = batch["ids"]
        logits = model(ids)[:, :-1].flatten(0, 1)
        return functional.cross_entropy(logits, ids[:, 1:].flatten(), ignore_index=ignored)

    return loss


def test_padding_behind_the_text_of_a_causal_model_is_no_fault():
    assert verdict(Causal, next_token(PAD), pad_id=PAD) is Status.PASS


def test_padding_in_the_loss_fails():
    assert verdict(Causal, next_token(-100), pad_id=PAD) is Status.FAIL


def test_an_end_that_is_also_the_padding_may_be_asked_for_once():
    def loss(model, batch):
        ids = batch["ids"]
        labels = ids[:, 1:].masked_fill((ids[:, 1:] == PAD) & (ids[:, :-1] == PAD), -100)
        return functional.cross_entropy(model(ids)[:, :-1].flatten(0, 1), labels.flatten())

    assert verdict(Causal, loss, pad_id=PAD, eos_id=PAD) is not Status.FAIL


def test_left_padding_that_is_attended_fails():
    subject = TOYS["left_padded"]()
    given = subject.predict

    def predict(model, batch):
        return model(batch["input_ids"], torch.ones_like(batch["attention_mask"]))

    assert given is not None
    assert verdict_of(subject, predict) is Status.FAIL


def verdict_of(subject, predict):
    def loss(model, batch):
        logits = predict(model, batch)[:, :-1].flatten(0, 1)
        return functional.cross_entropy(logits, batch["labels"][:, 1:].flatten(), ignore_index=-100)

    return answer(padding.check, replace(subject, predict=predict, loss=loss)).status


class Recommender(nn.Module):
    """Items before padding in front; positions count from the first column, that is from the end of the row."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(V, D, padding_idx=PAD), nn.Embedding(T, D)
        self.mix, self.head = nn.MultiheadAttention(D, 2, batch_first=True), nn.Linear(D, V)

    def forward(self, ids):
        t = ids.shape[1]
        x = self.embed(ids) + self.place.weight[:t]
        closed = torch.ones(t, t).triu(1).bool() | (ids == PAD)[:, None]
        closed = (closed & ~torch.eye(t).bool()).repeat_interleave(2, 0)
        return self.head(x + self.mix(x, x, x, attn_mask=closed, need_weights=False)[0])


def in_front(rows):
    return [{"ids": batch["ids"].flip(1)[:, -width:]} for batch, width in zip(batches() * 2, rows, strict=True)]


def test_rows_of_one_length_may_be_aligned_at_their_end():
    assert verdict(Recommender, next_token(PAD), lambda: in_front([T, T]), pad_id=PAD, causal=True) is Status.WARN


def test_positions_that_depend_on_the_longest_neighbour_fail():
    assert verdict(Recommender, next_token(PAD), lambda: in_front([T, T - 1]), pad_id=PAD, causal=True) is Status.FAIL


class Points(nn.Module):
    """A set of points to one number: attention, then a summary; told by a mask or by lengths what is there."""

    def __init__(self, told=True, summary="query", mix="attention") -> None:
        super().__init__()
        self.embed, self.attend = nn.Linear(3, D, bias=False), nn.MultiheadAttention(D, 2, batch_first=True)
        self.pool, self.seed = nn.MultiheadAttention(D, 2, batch_first=True), nn.Parameter(torch.randn(1, 1, D))
        self.rnn = nn.GRU(D, D // 2, batch_first=True, bidirectional=True) if mix == "rnn" else None
        self.head, self.told, self.summary, self.mix = nn.Linear(D, 1), told, summary, mix

    def forward(self, points, there):
        if there.dim() == 1:
            there = torch.arange(points.shape[1]) < there[:, None]
        absent, h = ~there.bool(), self.embed(points)
        if self.mix == "attention":
            h = h + self.attend(h, h, h, key_padding_mask=absent if self.told != "never" else None)[0]
        elif self.rnn is not None:
            h = self.rnn(h)[0]
        if self.summary == "query":
            gone = absent if self.told is True else None
            return self.head(self.pool(self.seed.expand(len(h), -1, -1), h, h, key_padding_mask=gone)[0])[:, 0, 0]
        if self.summary == "zeros":  # what is zero adds nothing
            return self.head(self.embed(points).sum(1) + (h * ~absent.unsqueeze(-1)).sum(1))[:, 0]
        return self.head(h)[..., 0]


def clouds(name="present", value="mask", target="energy"):
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([10, 4, 7, 5, 9, 10, 3, 8])
    there = torch.arange(T) < lengths[:, None]
    whole = torch.randn(8, T, 3, generator=generator)
    marks = {"mask": there, "numbers": there.long(), "lengths": lengths}
    wanted = whole.norm(dim=-1) if target == "future" else whole.sum((1, 2))
    return [{"cloud": whole * there.unsqueeze(-1), name: marks[value], target: wanted}]


def about(build, target="energy", **given):
    name = given.get("name", "present")

    def squares(model, batch):
        return (model(batch["cloud"], batch[name]) - batch[target]).square().mean()

    return verdict(build, squares, lambda: clouds(target=target, **given))


@pytest.mark.parametrize("value", ["mask", "numbers", "lengths"])
@pytest.mark.parametrize("name", ["present", "n", "point_mask"])
def test_padded_features_are_found_by_content(value, name):
    if (name, value) != ("point_mask", "lengths"):
        assert about(Points, name=name, value=value) is Status.PASS
        assert about(lambda: Points(told="half"), name=name, value=value) is Status.FAIL


def test_zero_rows_may_be_added_up():
    assert about(lambda: Points(summary="zeros")) is Status.PASS


def test_what_is_never_told_the_model_is_a_warning():
    assert about(lambda: Points(told="never")) is Status.WARN


def test_recurrence_over_padded_features_is_a_warning():
    assert about(lambda: Points(mix="rnn")) is Status.WARN


def test_a_hidden_future_is_no_padding():
    assert about(lambda: Points(told="half", summary="steps"), target="future") is not Status.FAIL
