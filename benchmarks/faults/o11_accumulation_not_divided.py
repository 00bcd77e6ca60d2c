"""The gradients of four batches are added up where their mean is meant."""

import torch
from _training import blobs, classify, mlp
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "O11", "B", "optimizer"
REFERENCE = "unslothai/unsloth-zoo#1023"
EXPECT = ("gradient.accumulation",)
ACCUMULATE = 4


def loss(model, batch):
    features, labels = batch
    return nn.functional.cross_entropy(model(features), labels)


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(8, 40, 4)
    done = {"calls": 0}

    def step(model, optimizer, batch):
        value = loss(model, batch)
        (value if faulty else value / ACCUMULATE).backward()
        done["calls"] += 1
        if done["calls"] % ACCUMULATE == 0:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return value.item()

    return {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5),
        "loss": loss,
        "step": step,
        "evaluate": classify,
        "train_loader": DataLoader(TensorDataset(*blobs(seed)), batch_size=15, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*blobs(seed + 50, n=80)), batch_size=30),
        "claims": {"accumulation": ACCUMULATE, "classes": 4},
    }
