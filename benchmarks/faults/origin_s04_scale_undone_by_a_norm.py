"""A small scale inside a LayerNorm has no effect, and no gradient."""

import torch
from _training import blobs, classify, cut, plain_step
from torch import nn

ID, TIER, CATEGORY = "S-4", "W", "origins"
REFERENCE = "SAFE: layer_norm(residual_scale * delta)"
EXPECT = ("model.unused-parameters", "learning", "model")


class Adapter(nn.Module):
    def __init__(self, faulty, width=24):
        super().__init__()
        self.faulty = faulty
        self.enter, self.delta = nn.Linear(8, width), nn.Linear(width, width)
        self.norm, self.scale = nn.LayerNorm(width, eps=0.0), nn.Parameter(torch.tensor(0.05))
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        hidden = torch.relu(self.enter(x))
        delta = self.delta(hidden)
        gentle = self.norm(self.scale * delta) if self.faulty else self.scale * self.norm(delta)
        return self.head(hidden + gentle)


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Adapter(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=4e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": cut(24, *blobs(seed)),
        "valid_loader": cut(24, *blobs(seed + 50, n=80)),
        "claims": {"classes": 4},
    }
