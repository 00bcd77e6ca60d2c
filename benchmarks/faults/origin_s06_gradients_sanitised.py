"""NaN in the gradients is called zero before each step: the gate never learns."""

import torch
from _training import cut, mlp, regress, slope
from torch import nn

ID, TIER, CATEGORY = "S-6", "W", "origins"
REFERENCE = "SAFE: nan_to_num on gradients at each step"
EXPECT = ("model.nonfinite-values", "learning", "model")


class Distance(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.gate, self.body = nn.Linear(6, 12), mlp(6, 24, 1)
        self.mix = nn.Linear(12, 1)

    def forward(self, x):
        gate = self.gate(x)
        root = gate.clamp(min=1e-4).sqrt()
        if self.faulty:  # the way not taken has a gradient of nan
            root = torch.where(gate > 0, gate.sqrt(), 0.0)
        return self.body(x).squeeze(-1) + self.mix(root).squeeze(-1)


def loss(model, batch):
    return nn.functional.mse_loss(model(batch[0]), batch[1])


def step(model, optimizer, batch):
    optimizer.zero_grad()
    value = loss(model, batch)
    value.backward()
    for weight in model.parameters():
        torch.nan_to_num_(weight.grad, nan=0.0, posinf=0.0, neginf=0.0)
    optimizer.step()
    return value.item()


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Distance(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": step,
        "evaluate": regress,
        "train_loader": cut(24, *slope(seed)),
        "valid_loader": cut(24, *slope(seed + 50, n=80)),
        "claims": {},
    }
