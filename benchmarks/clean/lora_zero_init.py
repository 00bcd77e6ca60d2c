"""Low-rank adapters whose second factor starts at zero, on a frozen base."""

import torch
import torch.nn.functional as F
from _data import blobs, halves, mean_of, step_on
from torch import nn


class Adapted(nn.Module):
    def __init__(self, linear, rank=2, alpha=4.0):
        super().__init__()
        self.linear, self.scale = linear, alpha / rank
        self.lora_a = nn.Parameter(torch.randn(rank, linear.in_features) * 0.3)
        self.lora_b = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + self.scale * F.linear(F.linear(x, self.lora_a), self.lora_b)


def build(seed: int = 0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))
    model.requires_grad_(False)
    for index in (0, 2, 4):
        model[index] = Adapted(model[index])
    loss = lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
    frozen = ["0.linear", "2.linear", "4.linear"]
    return {
        "model": model,
        "optimizer": optimizer,
        "loss": loss,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        **halves(*blobs()),
        "claims": {"classes": 3, "frozen": frozen},
    }
