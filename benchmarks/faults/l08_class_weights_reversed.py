"""Frequent classes get the large weights."""

import torch
from _training import classify, generator, mlp, plain_step
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "L8", "W", "loss"
REFERENCE = "class weights in the wrong order"
EXPECT = ("loss", "learning", "data")


def rare_events(part, n):
    draw = generator(part)
    inputs = torch.randn(n, 5, generator=draw)
    return TensorDataset(inputs, (inputs[:, 0] + inputs[:, 1] > 2.0).long())


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    train, valid = rare_events(seed, 400), rare_events(seed + 50, 130)
    counts = torch.bincount(train.tensors[1], minlength=2).float()
    weight = counts / counts.sum() * 2 if faulty else counts.sum() / counts / 2
    criterion = nn.CrossEntropyLoss(weight=weight)
    model = mlp(5, 16, 2)

    def loss(model, batch):
        return criterion(model(batch[0]), batch[1])

    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=1e-2),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "criterion": criterion,
        "train_loader": DataLoader(train, batch_size=40, shuffle=True),
        "valid_loader": DataLoader(valid, batch_size=40),
        "claims": {"classes": 2},
    }
