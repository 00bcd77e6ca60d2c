"""Masks of text-only and of multimodal programs, given as they are meant and turned round."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.model.mask_polarity import mask_polarity
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

LENGTHS = torch.tensor([6, 4, 3, 5, 2, 6])
THERE = torch.arange(6) < LENGTHS.unsqueeze(1)


class Encoder(nn.Module):
    """torch's own layer under a key mask, and a mean over the real tokens; `hide` makes the key mask."""

    def __init__(self, hide, pool=lambda mask: mask):
        super().__init__()
        self.hide, self.pool = hide, pool
        self.words, self.head = nn.Embedding(9, 8), nn.Linear(8, 2)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)

    def forward(self, ids, mask):
        x, kept = self.layer(self.words(ids), src_key_padding_mask=self.hide(mask)), self.pool(mask)
        return self.head(x.masked_fill(~kept.unsqueeze(-1), 0.0).sum(1) / kept.sum(1, keepdim=True))


def verdict(hide, left=False, **given):
    generator = torch.Generator().manual_seed(0)
    there = THERE.flip(1) if left else THERE
    ids = torch.randint(1, 9, there.shape, generator=generator) * there
    batch = {"input_ids": ids, "attention_mask": there.long(), "label": torch.tensor([0, 1, 0, 1, 0, 1])}
    subject = Subject(
        "by hand",
        model=lambda: Encoder(hide, **given),
        loss=lambda model, b: functional.cross_entropy(model(b["input_ids"], b["attention_mask"].bool()), b["label"]),
        splits={"train": lambda: [batch]},
        claims=Claims(pad_id=0),
    )
    return answer(mask_polarity.check, subject).status


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.requirement("MAFT-2.1")
def test_a_key_mask_that_is_not_turned_round_is_found(left):
    assert verdict(lambda mask: ~mask, left) is Status.PASS
    assert verdict(lambda mask: mask, left) is Status.FAIL


def test_a_mean_over_padding_instead_of_tokens_is_found():
    assert verdict(lambda mask: mask, pool=lambda mask: ~mask) is Status.FAIL


def test_padding_that_is_read_whatever_the_mask_says_is_another_fault():
    assert verdict(lambda mask: None, pool=lambda mask: mask | True) is Status.PASS
