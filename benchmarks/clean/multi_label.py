"""Several labels for a sample, with a weight for the rare positives."""

import torch
from _data import halves, mean_of, step_on
from torch import nn


def build(seed: int = 0):
    torch.manual_seed(seed)
    x = torch.randn(360, 12)
    present = (x @ torch.randn(12, 7) > 2.5).float()
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.full((7,), 3.0))
    model = nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 7))
    loss = lambda model, batch: criterion(model(batch[0]), batch[1])
    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=5e-3),
        "loss": loss,
        "criterion": criterion,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        **halves(x, present, batch=30),
    }
