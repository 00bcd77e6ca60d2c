"""The scale of the inputs is learned in a buffer that no checkpoint keeps."""

import torch
from _training import cut, mlp, plain_step, regress, slope
from torch import nn

ID, TIER, CATEGORY = "C7", "W", "checkpoint"
REFERENCE = "non-persistent buffers that are learned"
EXPECT = ("reproducibility",)


class Standardise(nn.Module):
    def __init__(self, features, persistent):
        super().__init__()
        self.register_buffer("mean", torch.zeros(features), persistent=persistent)
        self.register_buffer("var", torch.ones(features), persistent=persistent)

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                self.mean.lerp_(x.mean(0), 0.1)
                self.var.lerp_(x.var(0), 0.1)
        return (x - self.mean) / (self.var + 1e-3).sqrt()


def loss(model, batch):
    return nn.functional.mse_loss(model(batch[0]).squeeze(-1), batch[1])


def raw(part, n):
    inputs, targets = slope(part, n=n)
    return 5.0 + 3.0 * inputs, targets


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = nn.Sequential(Standardise(6, persistent=not faulty), mlp(6, 24, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

    def save(path):
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)

    def load(path):
        state = torch.load(path)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])

    return {
        "model": model,
        "optimizer": optimizer,
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": regress,
        "save": save,
        "load": load,
        "train_loader": cut(24, *raw(seed, 240)),
        "valid_loader": cut(24, *raw(seed + 50, 80)),
        "claims": {},
    }
