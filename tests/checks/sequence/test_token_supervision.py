import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.sequence.token_supervision import token_supervision
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

V, END = 13, 2


def verdict(ids, labels, **claims):
    def loss(model, batch):
        logits = model(batch[0])[:, :-1].flatten(0, 1)
        return functional.cross_entropy(logits, batch[1][:, 1:].flatten())

    given = Subject(
        "hand-made",
        model=lambda: nn.Sequential(nn.Embedding(V, 8), nn.Linear(8, V)),
        loss=loss,
        splits={"train": lambda: [(ids, labels)]},
        claims=Claims(causal=True, **claims),
    )
    return answer(token_supervision.check, given)


def texts():
    ids = torch.randint(3, V, (8, 9), generator=torch.Generator().manual_seed(1))
    ids[:, 6:] = END
    return ids


def test_the_end_may_be_supervised_once_where_it_is_also_the_padding():
    ids = texts()
    labels = ids.clone()
    labels[:, 7:] = -100
    assert verdict(ids, labels, eos_id=END, pad_id=END).status is Status.PASS


def test_the_end_masked_with_the_padding_fails():
    ids = texts()
    assert verdict(ids, ids.masked_fill(ids == END, -100), eos_id=END, pad_id=END).status is Status.FAIL


def test_an_end_that_nobody_claims_is_not_missed():
    ids = texts()
    assert verdict(ids, ids.masked_fill(ids == END, -100)).status is Status.PASS


def test_windows_without_an_end_are_not_asked_for_one():
    ids = texts()[:, :6]
    assert verdict(ids, ids, eos_id=END).status is Status.PASS


def test_a_sample_without_supervision_is_warned_about():
    ids = texts()
    labels = ids.clone()
    labels[3] = -100
    assert verdict(ids, labels).status is Status.WARN


def test_a_begin_that_stands_at_the_start_of_every_document_is_no_double():
    ids = texts()[:, :6]
    ids[:, 0] = ids[:, 3] = 1
    assert verdict(ids, ids, bos_id=1).status is Status.PASS
