"""Noise that is meant for training is drawn in evaluation as well, from NumPy."""

import numpy as np
import torch
from _training import blobs, classify, cut, mlp, plain_step
from torch import nn

ID, TIER, CATEGORY = "R4", "W", "reproducibility"
REFERENCE = "hidden random state in the forward pass"
EXPECT = ("evaluation", "reproducibility", "model")


class Jittered(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty, self.net = faulty, mlp(8, 32, 4)

    def forward(self, inputs):
        if self.training or self.faulty:
            noise = np.random.normal(0.0, 0.3, size=tuple(inputs.shape))
            inputs = inputs + torch.as_tensor(noise, dtype=inputs.dtype)
        return self.net(inputs)


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Jittered(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=4e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": cut(32, *blobs(seed)),
        "valid_loader": cut(32, *blobs(seed + 50, n=90)),
        "claims": {"classes": 4},
    }
