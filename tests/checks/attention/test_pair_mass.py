"""Who reads whom is found without a name being known."""

import pytest
import torch
from torch import nn

from gonogo.checks.attention.pair_mass import pair_mass
from gonogo.core.criterion import Status
from gonogo.instruments.attention.between_streams import MIXED, OTHER, PADDING, owners, pairs
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.session import Session
from gonogo.training.subject import Subject

B, D = 3, 8
LENGTHS = {"first": 5, "second": 4}


class Joint(nn.Module):
    """Two streams and a class token in one encoder; `padding_read` loses the mask."""

    def __init__(self, padding_read=False, layers=2) -> None:
        super().__init__()
        self.inputs = nn.ModuleDict({name: nn.Linear(3, D) for name in LENGTHS})
        self.token, self.padding_read = nn.Parameter(torch.randn(1, 1, D)), padding_read
        layer = nn.TransformerEncoderLayer(D, 2, D, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, batch):
        steps = [self.inputs[name](batch[name]) for name in LENGTHS]
        hidden = ~torch.cat([torch.ones(B, 1).bool(), *(batch[f"{name}_mask"] for name in LENGTHS)], 1)
        tokens = torch.cat([self.token.expand(B, -1, -1), *steps], 1)
        return self.encoder(tokens, src_key_padding_mask=None if self.padding_read else hidden)[:, 0]


def subject(**changes):
    generator = torch.Generator().manual_seed(2)
    batch = {name: torch.randn(B, length, 3, generator=generator) for name, length in LENGTHS.items()}
    batch |= {f"{name}_mask": torch.ones(B, length).bool() for name, length in LENGTHS.items()}
    batch["first_mask"][1, 3:] = False
    batch["first"] = batch["first"] * batch["first_mask"].unsqueeze(-1)
    claims = Claims(modalities=tuple(LENGTHS), masks={name: f"{name}_mask" for name in LENGTHS})
    return Subject(
        "joint",
        model=lambda: Joint(**changes),
        loss=lambda model, batch: model(batch).square().mean(),
        splits={"train": lambda: [batch]},
        claims=claims,
    )


def test_tokens_are_located_by_what_changes_them():
    found = pairs(Session(subject()))
    first = found.calls[0]
    places = torch.arange(10)
    assert torch.equal(first.keys["second"], (places > 5).expand(B, -1))
    assert torch.equal(first.keys[OTHER], (places == 0).expand(B, -1))
    assert first.keys[PADDING].nonzero().tolist() == [[1, 4], [1, 5]]


def test_later_layers_keep_the_places_of_the_first():
    first, second = pairs(Session(subject())).calls
    assert not second.keys[MIXED].any()
    assert all(torch.equal(first.keys[name], second.keys[name]) for name in first.keys)


def test_padding_is_known_behind_an_encoder_that_fills_it():
    class Encoded(Joint):
        def __init__(self) -> None:
            super().__init__(padding_read=True)
            self.context = nn.GRU(D, D, batch_first=True, bidirectional=True)

        def forward(self, batch):
            first = self.context(self.inputs["first"](batch["first"]))[0][..., :D]
            return self.encoder(torch.cat([first, self.inputs["second"](batch["second"])], 1))[:, 0]

    given = subject().map_model(lambda _: Encoded())
    [call, *_] = pairs(Session(given)).calls
    assert call.keys[PADDING].nonzero().tolist() == [[1, 3], [1, 4]]


def test_the_shares_of_a_reader_add_up_to_one():
    found = pairs(Session(subject()))
    shares = [found.share("first", group) for group in found.groups]
    assert sum(share for share in shares if share is not None) == pytest.approx(1)


def test_masked_padding_gets_nothing():
    result = answer(pair_mass.check, subject())
    assert result.status is Status.PASS
    assert result.observation.measurements["padding"].value == 0


def test_padding_that_is_read_is_a_warning():
    assert answer(pair_mass.check, subject(padding_read=True)).status is Status.WARN


def test_there_is_a_picture_of_each_pair():
    tables = answer(pair_mass.check, subject()).observation.tables
    assert all(table.kind == "heatmap" for table in tables)
    assert [table.title for table in tables[1:]] == ["first reads second, by token", "second reads first, by token"]
    assert len(tables[1].rows) == 5
    assert len(tables[1].columns) == 1 + 4


def test_owners_are_told_apart_by_sample():
    base = torch.zeros(2, 3, 1)
    one, two = base.clone(), base.clone()
    one[0, 0], one[:, 1], two[:, 1] = 1, 1, 1
    found = owners(base, {"one": one, "two": two})
    assert {name: mask.nonzero().tolist() for name, mask in found.items()} == {
        "one": [[0, 0]],
        "two": [],
        PADDING: [[1, 0]],
        OTHER: [[0, 2], [1, 2]],
        MIXED: [[0, 1], [1, 1]],
    }
