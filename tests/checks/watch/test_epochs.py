"""Loops that reach all of the data, and loops that do not."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from gonogo.checks.watch.epochs import epochs
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject
from gonogo.watch.inside import record

DATA = TensorDataset(torch.randn(40, 3), torch.arange(40) % 2)


class Stream(IterableDataset):
    def __len__(self):
        return len(DATA)

    def __iter__(self):
        return (DATA[index] for index in torch.randperm(len(DATA)))


def judged(loader, evaluated=()) -> Status:
    """Twelve steps on the first batch of a new pass each, then an evaluation."""
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for _ in range(12):
            x, y = next(iter(loader))
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        for (x,) in evaluated:
            model(x)

    return answer(epochs.check, Subject(name="loop", recording=record(loop))).status


@pytest.mark.parametrize(
    ("loader", "status"),
    [
        (DataLoader(DATA, 8), Status.FAIL),
        (DataLoader(DATA, 8, shuffle=True), Status.PASS),
        (DataLoader(Stream(), 8), Status.PASS),
    ],
    ids=["in order", "shuffled", "a stream"],
)
def test_the_first_batch_for_ever_is_found_where_it_is_the_same(loader, status):
    assert judged(loader) is status


@pytest.mark.parametrize(("samples", "status"), [(16, Status.PASS), (20, Status.WARN)])
def test_an_evaluation_that_drops_samples_is_told(samples, status):
    held_out = DataLoader(TensorDataset(torch.randn(samples, 3)), 8, drop_last=True)
    assert judged(DataLoader(DATA, 8, shuffle=True), held_out) is status
