"""The noise on the inputs comes from a generator that was never seeded."""

import numpy as np
import torch
from _training import cut, mlp, regress, slope
from torch.nn.functional import mse_loss

ID, TIER, CATEGORY = "R1", "W", "reproducibility"
REFERENCE = "trainlint: no seed"
EXPECT = ("reproducibility.seed-repeat", "reproducibility")


def loss(model, batch):
    return mse_loss(model(batch[0]).squeeze(-1), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    noise = np.random.default_rng(None if faulty else seed)
    model = mlp(6, 32, 1)

    def step(model, optimizer, batch):
        inputs, targets = batch
        jitter = torch.from_numpy(noise.normal(0.0, 0.05, size=tuple(inputs.shape))).to(inputs)
        optimizer.zero_grad()
        value = loss(model, (inputs + jitter, targets))
        value.backward()
        optimizer.step()
        return value.item()

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": step,
        "evaluate": regress,
        "train_loader": cut(30, *slope(seed)),
        "valid_loader": cut(30, *slope(seed + 50, n=80)),
        "claims": {},
    }
