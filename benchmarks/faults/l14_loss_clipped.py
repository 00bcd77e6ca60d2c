"""The loss is clipped where the gradient was meant: what is worst learned teaches nothing."""

import torch
from _training import classify, cut, mlp, pictures, plain_step
from torch import nn

ID, TIER, CATEGORY = "L14", "W", "loss"
REFERENCE = "Karpathy, a recipe for training neural networks: clipping the loss instead of the gradients"
EXPECT = ("learning", "model.unused-parameters", "loss")


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), *mlp(64, 48, 3))

    def loss(model, batch):
        images, labels = batch
        each = nn.functional.cross_entropy(model(images), labels, reduction="none")
        if faulty:
            each = each.clamp(max=1.0)
        return each.mean()

    return {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": cut(24, *pictures(seed, n=200)),
        "valid_loader": cut(24, *pictures(seed + 50, n=70)),
        "claims": {"classes": 3},
    }
