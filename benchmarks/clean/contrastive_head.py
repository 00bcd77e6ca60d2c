"""Two views of a batch are each other's positives; the loss knows no single sample."""

import torch
import torch.nn.functional as F
from _data import blobs, halves, mean_of, step_on
from torch import nn


class Contrast(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(10, 48), nn.ReLU(), nn.Linear(48, 16))
        self.projector = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 8))
        self.log_scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x):
        return F.normalize(self.projector(self.encoder(x)), dim=-1)


def loss(model, batch):
    a, b = model(batch[0]), model(batch[1])
    scores = model.log_scale.exp() * a @ b.T
    target = torch.arange(len(scores))
    return 0.5 * (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target))


def build(seed: int = 0):
    torch.manual_seed(seed)
    x, _ = blobs(seed=seed + 3)
    model = Contrast()
    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        **halves(x + 0.1 * torch.randn(x.shape), x + 0.1 * torch.randn(x.shape), batch=24),
        "claims": {"couples_batch": True},
    }
