"""Small data sets and plain loops for the twins; every set shares its generating rule between its parts."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


def generator(seed):
    return torch.Generator().manual_seed(seed)


def blobs(part, n=240, features=8, classes=4, spread=2.0):
    """Inputs [n, features] around one centre for each class, and classes [n]."""
    centres = torch.randn(classes, features, generator=generator(7)) * spread
    draw = generator(100 + part)
    labels = torch.randint(classes, (n,), generator=draw)
    return centres[labels] + torch.randn(n, features, generator=draw), labels


def slope(part, n=240, features=6, noise=0.1):
    """Inputs [n, features] and a noisy linear target [n]."""
    weights = torch.randn(features, generator=generator(11))
    draw = generator(200 + part)
    inputs = torch.randn(n, features, generator=draw)
    return inputs, inputs @ weights + noise * torch.randn(n, generator=draw)


def chains(part, n=128, length=16, vocab=14, first=0):
    """Token ids [n, length]: each token has two possible followers, so the best loss is ln 2."""
    draw = generator(300 + part)
    rows = [torch.randint(vocab, (n,), generator=draw)]
    for _ in range(length - 1):
        coin = torch.randint(2, (n,), generator=draw)
        rows.append(torch.where(coin == 0, (3 * rows[-1] + 1) % vocab, (5 * rows[-1] + 2) % vocab))
    return torch.stack(rows, dim=1) + first


def pictures(part, n=160, classes=3, size=8):
    """Noisy images [n, 1, size, size] of one pattern for each class, and classes [n]."""
    patterns = torch.randn(classes, 1, size, size, generator=generator(13))
    draw = generator(400 + part)
    labels = torch.randint(classes, (n,), generator=draw)
    return patterns[labels] + 0.7 * torch.randn(n, 1, size, size, generator=draw), labels


def cut(size, *tensors):
    """A list of batches; the last one is as short as it happens to be."""
    return list(zip(*(tensor.split(size) for tensor in tensors), strict=True))


def mlp(*widths, dropout=0.0):
    layers = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers[:-2])


def causal_mask(length):
    return torch.full((length, length), float("-inf")).triu(1)


class TinyGPT(nn.Module):
    """Token ids [batch, time] -> logits [batch, time, vocab]."""

    def __init__(self, vocab=14, width=24, length=16, heads=2):
        super().__init__()
        self.tokens = nn.Embedding(vocab, width)
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        self.block = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.head = nn.Linear(width, vocab)

    def forward(self, ids):
        length = ids.shape[1]
        hidden = self.tokens(ids) + self.places[:length]
        return self.head(self.block(hidden, src_mask=causal_mask(length).to(hidden), is_causal=False))


def plain_step(loss):
    """The textbook step of a loss function."""

    def step(model, optimizer, batch):
        model.train()
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        return value.item()

    return step


def classify(model, loader):
    """Loss and accuracy of a classifier over batches of (inputs, classes), weighted by their sizes."""
    model.eval()
    total = right = count = 0
    with torch.no_grad():
        for inputs, labels in loader:
            logits = model(inputs)
            total += F.cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(-1) == labels).sum().item()
            count += len(labels)
    model.train()
    return {"loss": total / count, "accuracy": right / count}


def regress(model, loader):
    """Mean squared error of a regressor over batches of (inputs, targets)."""
    model.eval()
    total = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            total += (model(inputs).reshape(-1) - targets.reshape(-1)).square().sum().item()
            count += len(targets)
    model.train()
    return {"mse": total / count}


def next_token(model, loader):
    """Cross-entropy and accuracy of the next token over batches of ids."""
    model.eval()
    total = right = count = 0
    with torch.no_grad():
        for batch in loader:
            ids = batch["input_ids"] if isinstance(batch, dict) else batch
            logits, labels = model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten()
            total += F.cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(-1) == labels).sum().item()
            count += len(labels)
    model.train()
    return {"loss": total / count, "accuracy": right / count}
