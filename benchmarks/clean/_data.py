"""Small data for the clean programs; each makes the rest itself."""

import torch
from torch.utils.data import DataLoader, TensorDataset


def blobs(n=300, features=10, classes=3, seed=5):
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(0, classes, (n,), generator=draw)
    centres = 1.5 * torch.randn(classes, features, generator=draw)
    return centres[y] + torch.randn(n, features, generator=draw), y


def waves(n=240, steps=16, features=3, classes=3, seed=6):
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(0, classes, (n,), generator=draw)
    phase = 6.3 * torch.rand(n, 1, 1, generator=draw) + torch.arange(features)
    x = torch.sin(phase + (y[:, None, None] + 1) * 0.4 * torch.arange(steps)[:, None])
    return x + 0.2 * torch.randn(n, steps, features, generator=draw), y


def chains(n=240, length=14, vocab=15, low=2, seed=7):
    """No two alike; a token mostly follows from the one before."""
    draw = torch.Generator().manual_seed(seed)
    follow = torch.randperm(vocab - low, generator=draw)
    rows = [torch.randint(0, vocab - low, (2 * n,), generator=draw)]
    for _ in range(length - 1):
        other = torch.randint(0, vocab - low, (2 * n,), generator=draw)
        rows.append(torch.where(torch.rand(2 * n, generator=draw) < 0.7, follow[rows[-1]], other))
    unlike = torch.stack(rows, 1).unique(dim=0)
    return unlike[torch.randperm(len(unlike), generator=draw)[:n]] + low


def halves(*columns, batch=25, held=60):
    train = TensorDataset(*(column[:-held] for column in columns))
    valid = TensorDataset(*(column[-held:] for column in columns))
    return {"train_loader": DataLoader(train, batch, shuffle=True), "valid_loader": DataLoader(valid, 30)}


def step_on(loss):
    def step(model, optimizer, batch):
        optimizer.zero_grad(set_to_none=True)
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        return float(value.detach())

    return step


def mean_of(loss):
    @torch.no_grad()
    def evaluate(model, loader):
        mode = model.training
        model.eval()
        parts = [(float(loss(model, batch)), len(batch[0])) for batch in loader]
        model.train(mode)
        return {"loss": sum(value * n for value, n in parts) / sum(n for _, n in parts)}

    return evaluate
