"""The loss is a sum over the batch: the step depends on the batch size."""

import torch
import torch.nn.functional as F
from _training import classify, cut, pictures, plain_step
from torch import nn

ID, TIER, CATEGORY = "L3", "W", "loss"
REFERENCE = "thedeepchecker poor_reduction"
EXPECT = ("learning", "model.initial-loss", "loss")


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    reduction = "sum" if faulty else "mean"
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 16, 3))

    def loss(model, batch):
        images, labels = batch
        return F.cross_entropy(model(images), labels, reduction=reduction)

    return {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "predict": lambda model, batch: model(batch[0]),
        "train_loader": cut(16, *pictures(seed)),
        "valid_loader": cut(16, *pictures(seed + 50, n=60)),
        "claims": {"classes": 3},
    }
