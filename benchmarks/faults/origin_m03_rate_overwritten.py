"""A schedule overwrites the dropout rate of the configuration at every step."""

import torch
from _training import blobs, classify, cut, mlp
from torch.nn.functional import cross_entropy

ID, TIER, CATEGORY = "M-3", "W", "origins"
REFERENCE = "MAFT: moddrop.p is overwritten, so modality_dropout_rate has no effect"
EXPECT = ("config",)


def start(config, faulty, seed):
    torch.manual_seed(seed)
    model = mlp(8, 48, 4, dropout=config["dropout"])
    calls = []

    def loss(model, batch):
        return cross_entropy(model(batch[0]), batch[1])

    def step(model, optimizer, batch):
        calls.append(1)
        if faulty:
            model[2].p = min(0.05 + 0.01 * len(calls), 0.35)
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        return value.item()

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=config["lr"]),
        "loss": loss,
        "step": step,
        "evaluate": classify,
        "train_loader": cut(24, *blobs(seed)),
        "valid_loader": cut(24, *blobs(seed + 50, n=80)),
        "config": dict(config),
        "with_config": lambda changed: start(changed, faulty, seed),
        "claims": {"classes": 4},
    }


def build(faulty: bool = False, seed: int = 0) -> dict:
    return start({"dropout": 0.2, "lr": 0.005}, faulty, seed)
