"""Batches with NaN are left out without a word; a fifth of the data is never used."""

import torch
from _training import blobs, classify, cut, mlp
from torch.nn.functional import cross_entropy

ID, TIER, CATEGORY = "E-9", "W", "origins"
REFERENCE = "MultiTrack: `continue` at a NaN loss"
EXPECT = ("data.missing-values", "model.nonfinite-values", "learning", "data")


def loss(model, batch):
    return cross_entropy(model(batch[0]), batch[1])


def step(model, optimizer, batch):
    optimizer.zero_grad()
    value = loss(model, batch)
    if torch.isnan(value):
        return 0.0
    value.backward()
    optimizer.step()
    return value.item()


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    features, labels = blobs(seed)
    features = features.clone()
    features[:: len(features) // 3, 2] = float("nan") if faulty else 0.0
    model = mlp(8, 24, 4)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": step,
        "evaluate": classify,
        "train_loader": cut(20, features, labels),
        "valid_loader": cut(20, *blobs(seed + 50, n=70)),
        "claims": {"classes": 4},
    }
