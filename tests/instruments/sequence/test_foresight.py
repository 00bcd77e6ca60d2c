"""Teacher forcing without any claim: what may see the wanted token, and what may not."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.sequence.label_alignment import label_alignment
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

V, T, D, HEADS = 13, 12, 16, 4


def batches():
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(1, V, (6, T + 1), generator=generator) for _ in range(2)]


def verdict(build, loss):
    given = Subject("hand-made", model=build, loss=loss, splits={"train": batches})
    return answer(label_alignment.check, given).status


def next_token(model, rows):
    return functional.cross_entropy(model(rows[:, :-1]).transpose(1, 2), rows[:, 1:])


class Attention(nn.Module):
    """One layer of attention; how heads are split, what is masked."""

    def __init__(self, split="right", mask="causal") -> None:
        super().__init__()
        self.embed, self.head, self.mixed = nn.Embedding(V, D), nn.Linear(D, V), nn.Linear(D, D)
        self.split, self.mask = split, mask

    def forward(self, ids):
        x = self.embed(ids)
        b, t, d = x.shape
        shape = (b, HEADS, t, d // HEADS)
        z = x.view(shape) if self.split == "view" else x.view(b, t, HEADS, -1).transpose(1, 2)
        places = torch.arange(t)
        allowed = {
            "causal": places[:, None] >= places,
            "none": torch.ones(t, t, dtype=torch.bool),
            "prefix": (places[:, None] >= places) | (places < 4),
            "next": places[:, None] + 1 >= places,
        }[self.mask]
        out = functional.scaled_dot_product_attention(z, z, z, attn_mask=allowed)
        return self.head(x + self.mixed(out.transpose(1, 2).reshape(b, t, d)))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Status.PASS),
        ({"mask": "none"}, Status.FAIL),
        ({"mask": "next"}, Status.FAIL),
        ({"split": "view"}, Status.FAIL),
    ],
    ids=str,
)
def test_a_position_must_not_see_the_token_that_it_is_asked_for(given, expected):
    assert verdict(lambda: Attention(**given), next_token) is expected


def test_a_prefix_that_sees_itself_is_asked_only_behind_it():
    def loss(model, rows):
        wanted = rows[:, 1:].masked_fill(torch.arange(T) < 3, -100)
        return functional.cross_entropy(model(rows[:, :-1]).transpose(1, 2), wanted)

    assert verdict(lambda: Attention(mask="prefix"), loss) is not Status.FAIL
    assert verdict(lambda: Attention(mask="prefix"), next_token) is Status.FAIL


def test_shifted_labels_of_hidden_tokens_are_no_leak():
    def loss(model, rows):
        hidden = torch.rand(rows[:, :-1].shape) < 0.5
        wanted = rows[:, 1:].masked_fill(~hidden.roll(-1, 1), -100)
        return functional.cross_entropy(model(rows[:, :-1].masked_fill(hidden, 0)).transpose(1, 2), wanted)

    assert verdict(lambda: Attention(mask="none"), loss) is Status.SKIP


class TextAutoencoder(nn.Module):
    """A code of the whole text helps the decoder, as in a variational autoencoder."""

    def __init__(self, size) -> None:
        super().__init__()
        self.embed, self.encoder, self.code = nn.Embedding(V, D), nn.GRU(D, D, batch_first=True), nn.Linear(D, size)
        self.decoder, self.head = nn.GRU(D + size, D, batch_first=True), nn.Linear(D, V)

    def forward(self, ids):
        x = self.embed(ids)
        code = self.code(self.encoder(x)[1][0]).unsqueeze(1).expand(-1, ids.shape[1], -1)
        return self.head(self.decoder(torch.cat([x, code], -1))[0])


@pytest.mark.parametrize("size", [5, T])
def test_an_autoencoder_of_texts_may_know_the_text(size):
    assert verdict(lambda: TextAutoencoder(size), next_token) is not Status.FAIL


class Slots(TextAutoencoder):
    """The same with attention: a few queries read the text."""

    def __init__(self, size) -> None:
        super().__init__(D)
        self.queries, self.read = nn.Parameter(torch.randn(size, D)), nn.MultiheadAttention(D, 2, batch_first=True)

    def forward(self, ids):
        x = self.embed(ids)
        slots = self.read(self.queries.expand(len(ids), -1, -1), x, x)[0]
        code = slots.mean(1, keepdim=True).expand(-1, ids.shape[1], -1)
        return self.head(self.decoder(torch.cat([x, code], -1))[0])


def test_slots_that_read_the_text_are_a_code():
    assert verdict(lambda: Slots(3), next_token) is not Status.FAIL


class Copying(nn.Module):
    """The decoder is causal; the source holds the wanted tokens one later as well."""

    def __init__(self, causal=True) -> None:
        super().__init__()
        self.source, self.target, self.causal = Attention(mask="none"), Attention(), causal
        self.back = nn.GRU(V, V, batch_first=True, bidirectional=True)

    def forward(self, source, before):
        x = self.source(source) + self.target(before)
        return x if self.causal else self.back(x)[0][..., V:] + x


@pytest.mark.parametrize(("causal", "expected"), [(True, Status.PASS), (False, Status.FAIL)])
def test_the_source_may_hold_the_answer_while_the_decoder_is_blind_to_it(causal, expected):
    def loss(model, rows):
        return functional.cross_entropy(model(rows[:, :-1], rows[:, :-1].clone()).transpose(1, 2), rows[:, 1:])

    def other(model, rows):
        return functional.cross_entropy(model(rows[:, :-1].flip(1), rows[:, :-1]).transpose(1, 2), rows[:, 1:])

    assert verdict(lambda: Copying(causal), loss if causal else other) is expected


def test_an_autoencoder_that_strips_its_begin_is_not_asked():
    def loss(model, rows):
        return functional.cross_entropy(model(rows)[:, 1:].transpose(1, 2), rows[:, 1:])

    class Stripped(Attention):
        def forward(self, ids):
            return super().forward(ids)[:, 1:]

    assert verdict(lambda: Attention(mask="none"), loss) is Status.SKIP
    assert (
        verdict(
            lambda: Stripped(mask="none"),
            lambda model, rows: functional.cross_entropy(model(rows).transpose(1, 2), rows[:, 1:]),
        )
        is Status.SKIP
    )


def test_an_event_in_a_few_positions_is_no_reading():
    class Routed(Attention):
        def forward(self, ids):
            out = super().forward(ids)
            chosen = self.embed.weight[ids].sum(-1, keepdim=True)
            best = chosen.flatten(1).argmax(1)  # one position of each row is treated otherwise
            return out + 0.1 * functional.one_hot(best, ids.shape[1]).unsqueeze(-1)

    assert verdict(Routed, next_token) is Status.PASS
