"""Which ways to cut data are accused: only those that let the evaluation read what is trained on."""

import itertools

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, SubsetRandomSampler, TensorDataset

from gonogo.checks.watch.held_out import held_out
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject
from gonogo.watch.inside import record

DATA = TensorDataset(torch.randn(40, 3), torch.arange(40) % 2)


def fit(train, evaluated, epochs=1):
    """Train on a loader, then evaluate on others, and so on."""
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(epochs):
        model.train()
        for x, y in train:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for x, y in itertools.chain(*evaluated):
                nn.functional.cross_entropy(model(x), y)


def judged(loop) -> Status:
    return answer(held_out.check, Subject(name="loop", recording=record(loop))).status


def part(numbers):
    return DataLoader(Subset(DATA, numbers), 8)


def sampled(numbers):
    return DataLoader(DATA, 8, sampler=SubsetRandomSampler(numbers))


OTHER = DataLoader(TensorDataset(torch.randn(8, 3), torch.arange(8) % 2), 8)
WHOLE, FIRST, LAST = DataLoader(DATA, 8), range(30), range(30, 40)


@pytest.mark.parametrize(
    ("train", "evaluated", "status"),
    [
        (part(FIRST), [part(LAST)], Status.PASS),
        (sampled(FIRST), [sampled(LAST)], Status.PASS),
        (sampled(FIRST), [sampled(range(25, 40))], Status.FAIL),
        (part(FIRST), [sampled(range(25, 40)), part(LAST)], Status.FAIL),
        (WHOLE, [part(LAST)], Status.WARN),
        (part(FIRST), [part(range(20)), part(LAST)], Status.PASS),
        (part(FIRST), [WHOLE, part(LAST)], Status.PASS),
        (part(FIRST), [OTHER], Status.SKIP),
    ],
    ids=["cut", "samplers", "samplers cross", "one crosses", "whole", "error on training data", "prediction", "other"],
)
def test_parts_that_cross_are_found(train, evaluated, status):
    assert judged(lambda: fit(train, evaluated)) is status


@pytest.mark.parametrize(
    ("evaluated", "epochs", "status"),
    [([WHOLE], 2, Status.WARN), ([WHOLE], 1, Status.SKIP), ([WHOLE, OTHER], 2, Status.PASS), ([], 2, Status.SKIP)],
    ids=["alone", "a validation may follow", "and a validation", "never"],
)
def test_the_error_on_training_data_is_no_validation(evaluated, epochs, status):
    assert judged(lambda: fit(WHOLE, evaluated, epochs)) is status


def test_folds_of_a_cross_validation_do_not_leak():
    def loop():
        for fold in range(4):
            kept = set(range(10 * fold, 10 * fold + 10))
            fit(part(sorted(set(range(40)) - kept)), [part(sorted(kept))])

    assert judged(loop) is Status.PASS
