"""A training loop that was watched: what the checks of recordings must pass."""

import copy
from functools import cache

import torch
from torch import nn
from torch.nn import functional
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, TensorDataset

from gonogo.testing.toys import parts
from gonogo.training import seeding
from gonogo.training.recording import Recording
from gonogo.training.subject import Subject
from gonogo.watch.inside import record

CLASSES, FEATURES, EPOCHS, BATCH_SIZE = 3, 6, 3, 16


def watched() -> Subject:
    """Synthetic clusters, three epochs with clipping, a schedule, an evaluation and kept weights after each."""
    return Subject(name="toy watched", recording=_recording())


@cache
def _recording() -> Recording:
    with seeding.seeded(0):
        return record(_train)


def _train() -> None:
    model = nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, CLASSES))
    train, valid = _split(160), _split(48)
    train_loader = DataLoader(train, BATCH_SIZE, shuffle=True)
    valid_loader = DataLoader(valid, BATCH_SIZE)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = CosineAnnealingLR(optimizer, T_max=EPOCHS * len(train_loader))
    best, best_state = 0.0, copy.deepcopy(model.state_dict())
    for _ in range(EPOCHS):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
        accuracy = _accuracy(model, valid_loader)
        if accuracy > best:
            best, best_state = accuracy, copy.deepcopy(model.state_dict())
    model.load_state_dict(best_state)


@torch.no_grad()
def _accuracy(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    right = [model(x).argmax(1) == y for x, y in loader]
    return float(torch.cat(right).float().mean())


def _split(count: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(count)
    centres = 2.0 * parts.normal(torch.Generator().manual_seed(5), CLASSES, FEATURES)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    return TensorDataset(centres[labels] + parts.normal(generator, count, FEATURES), labels)
