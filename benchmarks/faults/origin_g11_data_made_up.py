"""The mass of a planet that is missing in the catalogue is drawn at random, at each access."""

import numpy as np
import torch
from _training import mlp, plain_step, regress, slope
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, Dataset

ID, TIER, CATEGORY = "G-11", "W", "origins"
REFERENCE = "Astro: np.random.uniform inside the loader of real data"
EXPECT = ("data.index-determinism", "data")


class Planets(Dataset):
    def __init__(self, part, n, faulty):
        self.rows, self.radii = slope(part, n=n)
        self.faulty = faulty

    def __len__(self):
        return len(self.radii)

    def __getitem__(self, index):
        row = self.rows[index].clone()
        if index % 4 == 0:
            row[3] = float(np.random.uniform(-2, 2)) if self.faulty else 0.0
        return row, self.radii[index]


def loss(model, batch):
    return mse_loss(model(batch[0]).squeeze(-1), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(6, 24, 1)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": regress,
        "train_loader": DataLoader(Planets(seed, 240, faulty), batch_size=24, shuffle=True),
        "valid_loader": DataLoader(Planets(seed + 50, 80, faulty), batch_size=24),
        "claims": {},
    }
