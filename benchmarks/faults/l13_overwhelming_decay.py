"""The penalty on the weights is larger than the error."""

import torch
from _training import classify, cut, mlp, pictures, plain_step

ID, TIER, CATEGORY = "L13", "W", "loss"
REFERENCE = "thedeepchecker over_reg"
EXPECT = ("learning", "loss")


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    strength = 10.0 if faulty else 1e-4
    model = torch.nn.Sequential(torch.nn.Flatten(), *mlp(64, 32, 3))

    def loss(model, batch):
        images, labels = batch
        penalty = sum(weight.square().sum() for weight in model.parameters() if weight.dim() > 1)
        return torch.nn.functional.cross_entropy(model(images), labels) + strength * penalty

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": cut(20, *pictures(seed)),
        "valid_loader": cut(20, *pictures(seed + 50, n=70)),
        "claims": {"classes": 3},
    }
