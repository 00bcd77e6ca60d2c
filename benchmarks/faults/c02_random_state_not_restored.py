"""The run is said to resume exactly; its dropout goes on from another random state."""

import torch
from _training import blobs, classify, mlp
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "C2", "B", "checkpoint"
REFERENCE = "huggingface/transformers#46628; huggingface/accelerate#2016, #4071"
EXPECT = ("reproducibility",)


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def step(model, optimizer, batch):
    model.train()
    value = loss(model, batch)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(8, 64, 4, dropout=0.3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)

    def save(path):
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()}
        torch.save(state, path)

    def load(path):
        state = torch.load(path)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        if not faulty:
            torch.set_rng_state(state["rng"])

    return {
        "model": model,
        "optimizer": optimizer,
        "loss": loss,
        "step": step,
        "evaluate": classify,
        "save": save,
        "load": load,
        "train_loader": DataLoader(TensorDataset(*blobs(seed)), batch_size=40, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*blobs(seed + 50, n=100)), batch_size=40),
        "claims": {"resume": "exact", "classes": 4},
    }
