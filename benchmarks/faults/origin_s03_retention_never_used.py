"""The weight of the retention term is configured, and the term is not in the loss."""

import torch
import torch.nn.functional as F
from _training import blobs, classify, mlp, plain_step
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "S-3", "B", "origins"
REFERENCE = "SAFE: retention is configured and never used"
EXPECT = ("config.dead-keys", "config")


def start(config, faulty, seed):
    torch.manual_seed(seed)
    model = mlp(8, 32, 4)
    before = {name: weight.detach().clone() + 0.1 for name, weight in model.named_parameters()}

    def loss(model, batch):
        total = F.cross_entropy(model(batch[0]), batch[1])
        drift = sum((weight - before[name]).square().sum() for name, weight in model.named_parameters())
        if not faulty:
            total = total + config["retention"] * drift
        return total

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=config["lr"]),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": DataLoader(TensorDataset(*blobs(seed)), batch_size=30, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*blobs(seed + 50, n=80)), batch_size=30),
        "config": dict(config),
        "with_config": lambda changed: start(changed, faulty, seed),
        "claims": {"classes": 4},
    }


def build(faulty: bool = False, seed: int = 0) -> dict:
    return start({"lr": 0.005, "retention": 0.001}, faulty, seed)
