"""Four calls make one update; each loss is divided by four."""

import torch
import torch.nn.functional as F
from _data import blobs, halves, mean_of
from torch import nn


def build(seed: int = 0, every: int = 4):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(10, 48), nn.LayerNorm(48), nn.ReLU(), nn.Linear(48, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    calls = 0
    loss = lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])

    def step(model, optimizer, batch):
        nonlocal calls
        value = loss(model, batch)
        (value / every).backward()
        calls += 1
        if calls % every == 0:
            optimizer.step()
            optimizer.zero_grad()
        return value.item()

    return {
        "model": model,
        "optimizer": optimizer,
        "loss": loss,
        "step": step,
        "evaluate": mean_of(loss),
        **halves(*blobs(), batch=20),
        "claims": {"classes": 3, "accumulation": every},
    }
