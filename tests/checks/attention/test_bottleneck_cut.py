"""What is called a bottleneck is asked as a layer of its own."""

import pytest
import torch
from torch import nn

from gonogo.checks.attention.bottleneck_cut import bottleneck_cut
from gonogo.core.criterion import Status
from gonogo.errors import SubjectError
from gonogo.instruments.attention.fusion_layer import fusion_layer
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.session import Session
from gonogo.training.subject import Subject

B, D, K = 3, 8, 2
LENGTHS = {"first": 5, "second": 4}
SIZES = [5, 4, K]


def block():
    return nn.TransformerEncoderLayer(D, 2, D, batch_first=True)


class Apart(nn.Module):
    """A block for each stream, which reads its own tokens and the bottlenecks; all in one forward."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict({name: block() for name in LENGTHS})

    def forward(self, tokens, shared):
        read = {name: self.blocks[name](torch.cat([x, shared], 1)) for name, x in tokens.items()}
        own = {name: out[:, :-K] for name, out in read.items()}
        return own, torch.stack([out[:, -K:] for out in read.values()]).mean(0)


class Masked(nn.Module):
    """The same by a mask over the concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.block = block()

    def forward(self, tokens, shared):
        owner = torch.tensor([0] * 5 + [1] * 4 + [2] * K)
        hidden = (owner[:, None] != owner) & (owner != 2) & (owner[:, None] != 2)
        *own, shared = self.block(torch.cat([*tokens.values(), shared], 1), src_mask=hidden).split(SIZES, 1)
        return dict(zip(tokens, own, strict=True)), shared


class Together(nn.Module):
    """Full self-attention over everything."""

    def __init__(self) -> None:
        super().__init__()
        self.block = block()

    def forward(self, tokens, shared):
        *own, shared = self.block(torch.cat([*tokens.values(), shared], 1)).split(SIZES, 1)
        return dict(zip(tokens, own, strict=True)), shared


class Net(nn.Module):
    def __init__(self, layer) -> None:
        super().__init__()
        self.inputs = nn.ModuleDict({name: nn.Linear(3, D) for name in LENGTHS})
        self.bottlenecks = nn.Parameter(torch.randn(K, D))
        self.layers = nn.ModuleList(layer() for _ in range(2))

    def forward(self, batch):
        tokens = {name: self.inputs[name](batch[name]) for name in LENGTHS}
        shared = self.bottlenecks.expand(B, -1, -1)
        for layer in self.layers:
            tokens, shared = layer(tokens, shared)
        return shared.mean(1)


def subject(layer, name="layers.0"):
    generator = torch.Generator().manual_seed(2)
    batch = {name: torch.randn(B, length, 3, generator=generator) for name, length in LENGTHS.items()}
    return Subject(
        "fusion",
        model=lambda: Net(layer),
        loss=lambda model, batch: model(batch).square().mean(),
        splits={"train": lambda: [batch]},
        claims=Claims(modalities=tuple(LENGTHS), bottleneck=name),
    )


@pytest.mark.parametrize("layer", [Apart, Masked])
def test_a_true_bottleneck_passes(layer):
    result = answer(bottleneck_cut.check, subject(layer))
    assert result.status is Status.PASS
    assert result.observation.measurements["beside"].value == 0
    assert result.observation.tables[0].rows


def test_full_self_attention_fails():
    result = answer(bottleneck_cut.check, subject(Together))
    assert result.status is Status.FAIL
    assert result.observation.measurements["beside"].value > 1e-3


def test_both_directions_are_asked():
    session = Session(subject(Together))
    layer = fusion_layer(session, "layers.0")
    assert {(one.reader, one.read) for one in layer.crossings} == {("first", "second"), ("second", "first")}
    assert layer.free == K


def test_what_holds_the_modules_that_are_called_may_be_named():
    layer = fusion_layer(Session(subject(Apart, "layers.0.blocks")), "layers.0.blocks")
    assert layer.calls == 2
    assert all(one.jacobian == 0 for one in layer.crossings)


def test_a_layer_in_which_streams_have_met_before_is_not_judged():
    result = answer(bottleneck_cut.check, subject(Together, "layers.1"))
    assert result.status is Status.SKIP
    assert "met before" in result.reason


def test_without_the_claim_nothing_is_asked():
    assert answer(bottleneck_cut.check, subject(Together, "")).status is Status.SKIP


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(SubjectError, match=r"Did you mean 'layers\.0'"):
        fusion_layer(Session(subject(Apart)), "layer.0")
