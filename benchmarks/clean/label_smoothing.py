"""Smoothed labels and weighted classes: the loss cannot go to zero."""

import torch
from _data import blobs, halves, mean_of, step_on
from torch import nn


def build(seed: int = 0):
    torch.manual_seed(seed)
    x, y = blobs(classes=6, n=360)
    rarity = len(y) / 6 / torch.bincount(y, minlength=6).clamp(min=1)
    criterion = nn.CrossEntropyLoss(weight=rarity, label_smoothing=0.2)
    model = nn.Sequential(nn.Linear(10, 64), nn.SiLU(), nn.Dropout(0.2), nn.Linear(64, 6))
    loss = lambda model, batch: criterion(model(batch[0]), batch[1])
    return {
        "model": model,
        "optimizer": torch.optim.NAdam(model.parameters(), lr=3e-3),
        "loss": loss,
        "criterion": criterion,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        **halves(x, y),
        "claims": {"classes": 6},
    }
