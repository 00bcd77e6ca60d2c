"""Gradients of all earlier batches are still there."""

import torch
from _training import blobs, classify, mlp
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "O1", "B", "optimizer"
REFERENCE = "stackoverflow 60335387"
EXPECT = ("gradient.carried-over", "learning.step-parity")
criterion = nn.CrossEntropyLoss()


def loss(model, batch):
    features, labels = batch
    return criterion(model(features), labels)


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(8, 32, 4)

    def train_step(model, optimizer, batch):
        model.train()
        output = loss(model, batch)
        if not faulty:
            optimizer.zero_grad()
        output.backward()
        optimizer.step()
        return output.item()

    return {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.02),
        "loss": loss,
        "step": train_step,
        "evaluate": classify,
        "train_loader": DataLoader(TensorDataset(*blobs(seed)), batch_size=32, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*blobs(seed + 50, n=90)), batch_size=32),
        "claims": {"classes": 4},
    }
