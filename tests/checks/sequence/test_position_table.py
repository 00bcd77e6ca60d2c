import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.sequence.position_table import position_table
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

V, D, ROWS = 13, 8, 12


class Attending(nn.Module):
    def __init__(self, crop=False) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(V, D), nn.Embedding(ROWS, D)
        self.mix, self.head, self.crop = nn.MultiheadAttention(D, 2, batch_first=True), nn.Linear(D, V), crop

    def forward(self, ids):
        ids = ids[:, :ROWS] if self.crop else ids
        t = ids.shape[1]
        x = self.embed(ids) + self.place(torch.arange(t))
        return self.head(self.mix(x, x, x, attn_mask=torch.ones(t, t).triu(1).bool(), need_weights=False)[0])


def loss(model, ids):
    logits = model(ids)
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1 : logits.shape[1]].flatten())


def verdict(lengths, crop=False):
    def batches():
        generator = torch.Generator().manual_seed(1)
        return [torch.randint(V, (4, length), generator=generator) for length in lengths]

    given = Subject(
        "hand-made",
        model=lambda: Attending(crop),
        loss=loss,
        splits={"train": batches},
        claims=Claims(causal=True),
    )
    return answer(position_table.check, given).status


def test_batches_within_the_table_pass():
    assert verdict([6, 9, ROWS, 5]) is Status.PASS


def test_one_long_batch_among_many_fails():
    assert verdict([6, 9, 8, 7, ROWS + 1, 5]) is Status.FAIL


def test_a_model_that_crops_what_is_too_long_passes():
    assert verdict([6, 9, ROWS + 4], crop=True) is Status.PASS
