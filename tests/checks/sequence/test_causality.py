"""Hand-made models: odd ones that are causal, and one-line faults."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.sequence.causality import causality
from gonogo.core.criterion import Status
from gonogo.errors import NotApplicable
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS
from gonogo.training.claims import Claims
from gonogo.training.session import Session
from gonogo.training.subject import Subject

V, T, D, H = 11, 9, 16, 4


class Net(nn.Module):
    """One attention layer whose mask, softmax axis and heads can be got wrong."""

    def __init__(self, mask="causal", axis=-1, heads="right", layout="btv") -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(V, D), nn.Embedding(T, D)
        self.qkv, self.head = nn.Linear(D, 3 * D), nn.Linear(D, V)
        self.mask, self.axis, self.heads, self.layout = mask, axis, heads, layout

    def split(self, x):
        b, t, _ = x.shape
        return x.reshape(b, H, t, -1) if self.heads == "reshaped" else x.view(b, t, H, -1).transpose(1, 2)

    def forward(self, ids, targets=None):
        x = self.embed(ids) + self.place(torch.arange(ids.shape[1]))
        q, k, v = (self.split(part) for part in self.qkv(x).chunk(3, -1))
        scores = q @ k.transpose(-1, -2) / math.sqrt(D // H)
        lower = torch.ones(ids.shape[1], ids.shape[1]).tril().bool()
        if self.mask == "causal":
            scores = scores.masked_fill(~lower, float("-inf"))
        elif self.mask == "inverted":
            scores = scores.masked_fill(lower & ~torch.eye(len(lower), dtype=torch.bool), -1e9)
        elif self.mask == "added":
            scores = scores + lower
        elif self.mask == "one off":
            scores = scores.masked_fill(~torch.ones_like(lower).tril(1), float("-inf"))
        mixed = scores.softmax(self.axis) @ v
        b, t, _ = x.shape
        mixed = mixed.transpose(1, 2).reshape(b, t, D)
        logits = self.head(x + mixed)
        if self.layout == "flat":
            logits = logits.view(b * t, V)
        if targets is not None:
            return logits, functional.cross_entropy(logits.view(-1, V), targets.reshape(-1))
        return logits.transpose(1, 2) if self.layout == "bvt" else logits


def loss_shifted(model, ids):
    logits = model(ids[:, :-1])
    logits = logits.transpose(1, 2) if logits.shape[1] == V and logits.dim() == 3 else logits
    return functional.cross_entropy(logits.reshape(-1, V), ids[:, 1:].reshape(-1))


def loss_inside(model, ids):
    return model(ids[:, :-1], ids[:, 1:])[1]


def subject(build, loss=loss_shifted, **claims):
    def batches():
        generator = torch.Generator().manual_seed(1)
        return [torch.randint(V, (6, T), generator=generator) for _ in range(3)]

    return Subject("hand-made", model=build, loss=loss, splits={"train": batches}, claims=Claims(causal=True, **claims))


def verdict(subject):
    return answer(causality.check, subject).status


@pytest.mark.parametrize("layout", ["btv", "bvt", "flat"])
def test_a_causal_model_passes_in_every_layout_of_its_outputs(layout):
    assert verdict(subject(lambda: Net(layout=layout))) is Status.PASS


def test_targets_that_are_passed_to_the_model_are_not_taken_for_inputs():
    assert verdict(subject(lambda: Net(layout="flat"), loss_inside)) is Status.PASS


@pytest.mark.parametrize(
    "fault",
    [
        {"mask": "none"},
        {"mask": "inverted"},
        {"mask": "added"},
        {"mask": "one off"},
        {"axis": -2},
        {"heads": "reshaped"},
    ],
    ids=str,
)
@pytest.mark.parametrize("loss", [loss_shifted, loss_inside])
def test_a_one_line_fault_fails(fault, loss):
    assert verdict(subject(lambda: Net(**fault), loss)) is Status.FAIL


class SequenceFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.rnn, self.head = nn.Embedding(V, D), nn.GRU(D, D), nn.Linear(D, V)

    def forward(self, ids):
        return self.head(self.rnn(self.embed(ids))[0])


def test_a_recurrent_model_with_positions_first_passes():
    def loss(model, ids):
        return functional.cross_entropy(model(ids.T[:-1]).reshape(-1, V), ids.T[1:].reshape(-1))

    assert verdict(subject(SequenceFirst, loss)) is Status.PASS


class Convolution(nn.Module):
    """Channels before time; as many channels as outputs."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.conv, self.left = nn.Conv1d(4, 4, 3), left

    def forward(self, x):
        return self.conv(functional.pad(x, (self.left, 2 - self.left)))


@pytest.mark.parametrize(("left", "expected"), [(2, Status.PASS), (1, Status.FAIL)])
def test_a_convolution_with_channels_first_is_judged_along_time(left, expected):
    def batches():
        return [torch.randn(6, 4, 12, generator=torch.Generator().manual_seed(1))]

    def loss(model, x):
        return functional.mse_loss(model(x)[:, :, :-1], x[:, :, 1:])

    given = Subject(
        "conv", model=lambda: Convolution(left), loss=loss, splits={"train": batches}, claims=Claims(causal=True)
    )
    assert verdict(given) is expected


class ByFourier(nn.Module):
    """A long convolution by FFT: round-off of the future reaches the past."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.kernel, self.head = nn.Embedding(V, D), nn.Parameter(torch.randn(T - 1, 1)), nn.Linear(D, V)

    def forward(self, ids):
        x, t = self.embed(ids), ids.shape[1]
        spectrum = torch.fft.rfft(x, 2 * t, 1) * torch.fft.rfft(self.kernel, 2 * t, 0)
        return self.head(torch.fft.irfft(spectrum, 2 * t, 1)[:, :t])


def test_round_off_of_a_fourier_transform_is_no_leak():
    assert verdict(subject(ByFourier)) is Status.PASS


class ZeroInitialised(Net):
    def __init__(self, **wrong) -> None:
        super().__init__(**wrong)
        nn.init.zeros_(self.head.weight)


def test_behind_a_zero_initialised_head_a_leak_is_seen():
    assert verdict(subject(ZeroInitialised)) is Status.PASS
    assert verdict(subject(lambda: ZeroInitialised(mask="none"))) is Status.FAIL


def test_an_encoder_decoder_with_equal_lengths_is_judged_by_its_decoder():
    assert verdict(TOYS["seq2seq"]().with_claims(causal=True)) is Status.PASS


def test_a_decoder_that_sees_ahead_fails_with_an_encoder_beside_it():
    def change(model):
        inner = model.attend_self.forward
        model.attend_self.forward = lambda x, causal=False: inner(x)
        return model

    assert verdict(TOYS["seq2seq"]().with_claims(causal=True).map_model(change)) is Status.FAIL


def test_a_model_of_pooled_outputs_is_not_asked():
    with pytest.raises(NotApplicable):
        causality(Session(TOYS["multimodal"]().with_claims(causal=True)))


class HeadsByReshape(Net):
    """Split and merged by reshape: still causal, but each head holds a piece of the sequence."""

    def split(self, x):
        return x.reshape(len(x), H, x.shape[1], -1)

    def forward(self, ids):
        x = self.embed(ids) + self.place(torch.arange(ids.shape[1]))
        q, k, v = (self.split(part) for part in self.qkv(x).chunk(3, -1))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.head(x + mixed.reshape(x.shape))


def test_heads_that_hold_pieces_of_the_sequence_are_warned_about():
    assert verdict(subject(HeadsByReshape)) is Status.WARN


def test_a_table_of_pairs_of_tokens_is_a_causal_model():
    assert verdict(subject(lambda: nn.Embedding(V, V))) is Status.PASS


class Forecast(nn.Module):
    """One value per step, [b, t]; or as many classes as there are steps."""

    def __init__(self, ahead=0, head="steps") -> None:
        super().__init__()
        self.conv, self.out, self.classes = nn.Conv1d(3, D, 3), nn.Linear(D, 1), nn.Linear(D, T)
        self.pad, self.head = (2 - ahead, ahead), head

    def forward(self, x):
        h = self.conv(functional.pad(x.transpose(1, 2), self.pad)).transpose(1, 2).tanh()
        return self.classes(h.mean(1)) if self.head == "classes" else self.out(h)[..., 0]


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, Status.PASS), ({"ahead": 1}, Status.FAIL), ({"head": "classes"}, Status.SKIP)],
    ids=str,
)
def test_one_value_per_step_has_positions_and_as_many_classes_have_none(given, expected):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(4, T + 1, 3, generator=generator)
    forecast = Subject(
        "forecast",
        model=lambda: Forecast(**given),
        loss=lambda model, batch: (model(batch[:, :-1]) - batch[:, 1:, 0]).square().mean(),
        splits={"train": lambda: [rows]},
        claims=Claims(causal=True),
    )
    assert verdict(forecast) is expected
