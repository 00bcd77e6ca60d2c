"""The weights are bfloat16 too, and most updates are smaller than half of their last digit."""

import torch
from _training import blobs, mlp, plain_step
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "P2", "W", "precision"
REFERENCE = "pure bf16 training without master weights"
EXPECT = ("learning", "model")


def loss(model, batch):
    inputs = batch[0].to(next(model.parameters()).dtype)
    return nn.functional.cross_entropy(model(inputs).float(), batch[1])


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    values = [(loss(model, batch).item() * len(batch[1]), len(batch[1])) for batch in loader]
    model.train()
    return {"loss": sum(value for value, _ in values) / sum(size for _, size in values)}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(8, 64, 4)
    if faulty:
        model = model.bfloat16()
    return {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=2e-3, momentum=0.9),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "train_loader": DataLoader(TensorDataset(*blobs(seed)), batch_size=32, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*blobs(seed + 50, n=70)), batch_size=32),
        "claims": {"classes": 4},
    }
