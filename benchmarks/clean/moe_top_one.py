"""A mixture that sends each sample to one expert of six; most experts wait for their turn."""

import torch
import torch.nn.functional as F
from _data import blobs, halves, mean_of, step_on
from torch import nn


class Mixture(nn.Module):
    def __init__(self, experts=6):
        super().__init__()
        self.router = nn.Linear(10, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(10, 16), nn.GELU(), nn.Linear(16, 3)) for _ in range(experts)
        )
        self.shared = nn.Linear(10, 3)

    def forward(self, x):
        gate, index = self.router(x).softmax(-1).max(-1)
        out = self.shared(x)
        for number in index.unique():
            rows = index == number
            out = out.index_add(0, rows.nonzero()[:, 0], gate[rows, None] * self.experts[int(number)](x[rows]))
        return out


def build(seed: int = 0):
    torch.manual_seed(seed)
    model = Mixture()
    loss = lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        **halves(*blobs(), batch=8),
        "claims": {"classes": 3},
    }
