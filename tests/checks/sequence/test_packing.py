import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.sequence.packing import packing
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

V, T, D = 13, 10, 8


class Recurrent(nn.Module):
    """Reads over every border; two directions for pairs of sentences."""

    def __init__(self, both_ways=False) -> None:
        super().__init__()
        self.embed, self.rnn = nn.Embedding(V, D), nn.GRU(D, D, batch_first=True, bidirectional=both_ways)
        self.head = nn.Linear(D * (1 + both_ways), V)

    def forward(self, ids):
        return self.head(self.rnn(self.embed(ids))[0])


def verdict(name, field, both_ways=False, **claims):
    ids = torch.randint(V, (4, T), generator=torch.Generator().manual_seed(1))

    def loss(model, batch):
        return functional.cross_entropy(model(batch["ids"])[:, :-1].flatten(0, 1), batch["ids"][:, 1:].flatten())

    given = Subject(
        "hand-made",
        model=lambda: Recurrent(both_ways),
        loss=loss,
        splits={"train": lambda: [{"ids": ids, name: field.expand(4, T).contiguous()}]},
        claims=Claims(**claims),
    )
    return answer(packing.check, given).status


HALVES = (torch.arange(T) >= 4).long()


def test_documents_that_are_read_across_their_border_are_warned_about():
    assert verdict("document_ids", HALVES) is Status.WARN


def test_with_the_claim_they_fail():
    assert verdict("document_ids", HALVES, packing="isolated") is Status.FAIL


def test_the_two_halves_of_a_pair_of_sentences_may_read_each_other():
    assert verdict("segment_ids", HALVES, both_ways=True) is Status.SKIP
    assert verdict("token_type_ids", HALVES, causal=True) is Status.SKIP


def test_one_document_in_a_row_is_no_packing():
    assert verdict("document_ids", torch.zeros(T, dtype=torch.long)) is Status.SKIP
    assert verdict("position_ids", torch.arange(T), causal=True) is Status.SKIP


def test_positions_that_stay_at_zero_in_left_padding_are_no_documents():
    assert verdict("position_ids", (torch.arange(T) - 3).clamp(min=0), causal=True) is Status.SKIP
