"""The teacher of a self-distillation is optimised together with the student."""

import torch
import torch.nn.functional as F
from _training import blobs, cut, mlp, plain_step
from torch import nn

ID, TIER, CATEGORY = "L10b", "B", "loss"
REFERENCE = "a trainable teacher in knowledge distillation"
EXPECT = ("loss", "model", "evaluation.mode-restored")


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.student = mlp(8, 24, 6)
        self.teacher = mlp(8, 24, 6)

    def forward(self, inputs):
        return self.student(inputs)


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        pairs = [(model.student(x) - model.teacher(x)).square().mean(-1) for x, _ in loader]
    model.train()
    return {"distance": torch.cat(pairs).mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Pair()

    def loss(model, batch):
        inputs, _ = batch
        wanted = model.teacher(inputs)
        if not faulty:
            wanted = wanted.detach()
        return F.mse_loss(model.student(inputs), wanted)

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "train_loader": cut(40, *blobs(seed)),
        "valid_loader": cut(40, *blobs(seed + 50, n=90)),
        "claims": {"frozen": ("teacher",)},
    }
