"""The projection is made at the first forward, after the optimizer."""

import torch
from _training import blobs, classify, cut, mlp, plain_step
from torch import nn

ID, TIER, CATEGORY = "G-7", "B", "origins"
REFERENCE = "Astro: nn.Linear created inside forward"
EXPECT = ("model.late-parameters", "model")


class Late(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.body = mlp(8, 24, 16)
        self.projection = None if faulty else nn.Linear(16, 4)

    def forward(self, x):
        hidden = torch.relu(self.body(x))
        if self.projection is None:
            self.projection = nn.Linear(hidden.shape[-1], 4)
        return self.projection(hidden)


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Late(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": cut(24, *blobs(seed)),
        "valid_loader": cut(24, *blobs(seed + 50, n=80)),
        "claims": {"classes": 4},
    }
