"""Validation never switches dropout off."""

import torch
from _training import mlp, pictures
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "E1", "B", "evaluation"
REFERENCE = "wolny/pytorch-3dunet#53"
EXPECT = ("evaluation",)


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def step(model, optimizer, batch):
    model.train()
    optimizer.zero_grad()
    value = loss(model, batch)
    value.backward()
    optimizer.step()
    return value.item()


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), *mlp(64, 64, 3, dropout=0.4))

    @torch.no_grad()
    def evaluate(model, loader):
        if not faulty:
            model.eval()
        total = count = right = 0
        for images, labels in loader:
            logits = model(images)
            total += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(1) == labels).sum().item()
            count += len(labels)
        model.train()
        return {"val_loss": total / count, "val_acc": right / count}

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        "train_loader": DataLoader(TensorDataset(*pictures(seed)), batch_size=32, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*pictures(seed + 50, n=75)), batch_size=32),
        "claims": {"classes": 3},
    }
