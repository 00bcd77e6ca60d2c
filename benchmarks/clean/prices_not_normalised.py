"""Targets in the hundreds of thousands, and a loss to match."""

import torch
import torch.nn.functional as F
from _data import halves, mean_of, step_on
from torch import nn


class Price(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1))
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x):
        return self.net(x).squeeze(-1) * self.std + self.mean


def build(seed: int = 0):
    torch.manual_seed(seed)
    x = torch.randn(300, 6)
    y = 250_000 + 60_000 * (x[:, 0] + (x[:, 1] * x[:, 2]).tanh()) + 3_000 * torch.randn(300)
    model = Price(y[:240].mean(), y[:240].std())
    loss = lambda model, batch: F.mse_loss(model(batch[0]), batch[1])
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        **halves(x, y),
    }
