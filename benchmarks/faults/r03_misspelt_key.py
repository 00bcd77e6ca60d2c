"""The code asks for another key than the configuration has, and takes its default."""

import torch
from _training import blobs, classify, mlp, plain_step
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "R3", "B", "reproducibility"
REFERENCE = "huggingface/transformers#26221; open-mmlab/mmpretrain#702"
EXPECT = ("config",)
DEFAULTS = {"hidden": 24, "learning_rate": 0.005, "weight_decay": 0.01, "dropout": 0.1, "batch_size": 24}


def start(config, faulty, seed):
    torch.manual_seed(seed)
    model = mlp(8, config["hidden"], 4, dropout=config.get("drop_out" if faulty else "dropout", 0.1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["learning_rate"], weight_decay=config["weight_decay"])

    def loss(model, batch):
        return cross_entropy(model(batch[0]), batch[1])

    size = config["batch_size"]
    return {
        "model": model,
        "optimizer": optimizer,
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": DataLoader(TensorDataset(*blobs(seed)), batch_size=size, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*blobs(seed + 50, n=70)), batch_size=size),
        "config": dict(config),
        "with_config": lambda changed: start(changed, faulty, seed),
        "claims": {"classes": 4},
    }


def build(faulty: bool = False, seed: int = 0) -> dict:
    return start(DEFAULTS, faulty, seed)
