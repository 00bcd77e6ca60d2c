"""Two inputs through one encoder, trained on distances."""

import torch
import torch.nn.functional as F
from _data import blobs, halves, mean_of, step_on
from torch import nn


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 8))

    def forward(self, a, b):
        return F.pairwise_distance(self.encoder(a), self.encoder(b))


def loss(model, batch):
    a, b, same = batch
    distance = model(a, b)
    return (same * distance**2 + (1 - same) * F.relu(1.5 - distance) ** 2).mean()


def build(seed: int = 0):
    torch.manual_seed(seed)
    x, y = blobs(n=600)
    model = Siamese()
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        **halves(x[:300], x[300:], (y[:300] == y[300:]).float()),
    }
