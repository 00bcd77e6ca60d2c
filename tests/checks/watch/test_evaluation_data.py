"""Which evaluation data is accused: augmented like that of the training, or scaled in another way."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from gonogo.checks.watch.evaluation_data import evaluation_data
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject
from gonogo.watch.inside import record


class Samples(Dataset):
    """Numbers with mean 0 and spread 1, and what `change` makes of them when they are read."""

    def __init__(self, change=lambda x: x):
        self.x, self.change = torch.randn(32, 6), change

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.change(self.x[index]), index % 2


def noisy(x):
    return x + 0.3 * torch.randn_like(x)


def found(train, valid, **evaluation) -> list[str]:
    """Two epochs, each with an evaluation."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(2, 2) if train.x.dtype is torch.long else nn.Linear(6, 12), nn.Flatten())
    model.append(nn.Linear(12, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loaders = DataLoader(train, 16, shuffle=True), DataLoader(valid, 16, **evaluation)

    def loop():
        for _ in range(2):
            for x, y in loaders[0]:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            with torch.no_grad():
                for x, _ in loaders[1]:
                    model(x)

    result = answer(evaluation_data.check, Subject(name="loop", recording=record(loop)))
    return [one.measure for one in result.verdicts if one.status is not Status.PASS]


def tokens(change=lambda x: x):
    samples = Samples(change)
    samples.x = (samples.x > 0).long()
    return samples


@pytest.mark.parametrize(
    ("train", "valid", "expected"),
    [
        (Samples(noisy), Samples(), []),
        (Samples(noisy), Samples(noisy), ["drawn_anew"]),
        (Samples(), Samples(lambda x: x / 4 + 0.5), ["rescaled"]),
        (Samples(lambda x: x / 255), Samples(), ["rescaled"]),
        (tokens(), tokens(lambda x: x * torch.randint(2, x.shape)), []),
    ],
    ids=["augmented in training", "augmented in both", "not normalised", "normalised once", "tokens are masked anew"],
)
def test_only_other_preparation_is_found(train, valid, expected):
    assert found(train, valid) == expected


def test_other_samples_come_first_where_evaluation_is_shuffled():
    assert not found(Samples(), Samples(), shuffle=True)
