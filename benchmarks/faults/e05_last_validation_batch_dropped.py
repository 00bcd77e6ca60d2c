"""Validation drops its last batch, which is a third of the data."""

import torch
from _training import plain_step, regress, slope
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "E5", "B", "evaluation"
REFERENCE = "inclusionAI/AReaL#1095; NKI-AI/direct#50"
EXPECT = ("evaluation", "data")


def loss(model, batch):
    inputs, targets = batch
    return nn.functional.mse_loss(model(inputs).squeeze(-1), targets)


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 32), nn.SiLU(), nn.Linear(32, 1))
    valid = TensorDataset(*slope(seed + 50, n=95))
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": regress,
        "train_loader": DataLoader(TensorDataset(*slope(seed)), batch_size=32, shuffle=True, drop_last=True),
        "valid_loader": DataLoader(valid, batch_size=32, drop_last=faulty),
        "claims": {},
    }
