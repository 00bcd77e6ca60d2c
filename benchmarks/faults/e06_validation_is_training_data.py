"""Both loaders are made from the same rows."""

import torch
from _training import blobs, classify, mlp, plain_step
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset, random_split

ID, TIER, CATEGORY = "E6", "B", "evaluation"
REFERENCE = "thedeepchecker; a loader of the wrong part"
EXPECT = ("data.split-overlap",)


def loss(model, batch):
    return cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    rows = TensorDataset(*blobs(seed, n=300))
    train, valid = random_split(rows, [0.8, 0.2], generator=torch.Generator().manual_seed(seed))
    model = mlp(8, 24, 4)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": DataLoader(train, batch_size=30, shuffle=True),
        "valid_loader": DataLoader(train if faulty else valid, batch_size=30),
        "claims": {"classes": 4},
    }
