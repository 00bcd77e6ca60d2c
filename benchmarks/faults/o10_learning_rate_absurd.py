"""A learning rate of plain gradient descent, given to Adam."""

import torch
from _training import blobs, classify, mlp, plain_step
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "O10", "W", "optimizer"
REFERENCE = "trainproof lr_hot; thedeepchecker high_lr"
EXPECT = ("optimizer.update-size", "learning")


def loss(model, batch):
    x, y = batch
    return cross_entropy(model(x), y)


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(8, 64, 64, 4)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3.0 if faulty else 3e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": DataLoader(TensorDataset(*blobs(seed)), batch_size=48, shuffle=True, drop_last=True),
        "valid_loader": DataLoader(TensorDataset(*blobs(seed + 50, n=90)), batch_size=48),
        "claims": {"classes": 4},
    }
