"""YAML reads 3e-4 as a text; a lenient trainer falls back to its own default."""

import torch
import yaml
from _training import blobs, classify, cut, mlp, plain_step
from torch.nn.functional import cross_entropy

ID, TIER, CATEGORY = "A-15", "W", "origins"
REFERENCE = "yaml/pyyaml#173"
EXPECT = ("config.number-types", "config")
TEXT = "lr: {lr}\nhidden: 32\nepochs: 10\n"


def start(config, seed):
    torch.manual_seed(seed)
    model = mlp(8, config["hidden"], 4)
    rate = config["lr"] if isinstance(config["lr"], float) else 1e-3

    def loss(model, batch):
        return cross_entropy(model(batch[0]), batch[1])

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=rate),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": cut(24, *blobs(seed)),
        "valid_loader": cut(24, *blobs(seed + 50, n=80)),
        "config": dict(config),
        "claims": {"classes": 4},
    }


def build(faulty: bool = False, seed: int = 0) -> dict:
    return start(yaml.safe_load(TEXT.format(lr="5e-3" if faulty else "5.0e-3")), seed)
