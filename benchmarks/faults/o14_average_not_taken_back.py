"""Validation runs on the averaged weights, and training goes on from them."""

import torch
from _training import classify, cut, pictures
from torch import nn

ID, TIER, CATEGORY = "O14", "B", "optimizer"
REFERENCE = "lightly-ai/lightly-train#892; Megvii-BaseDetection/YOLOX#1318; PKU-YuanGroup/Open-Sora-Plan#186"
EXPECT = ("optimizer.ema", "evaluation.state")


class Average:
    """An exponential moving average of the weights that can change places with them."""

    def __init__(self, model, decay=0.95):
        self.model, self.decay = model, decay
        self.shadow = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        self.backup = {}

    @torch.no_grad()
    def update(self):
        for name, weight in self.model.named_parameters():
            self.shadow[name].lerp_(weight, 1 - self.decay)

    @torch.no_grad()
    def store(self):
        for name, weight in self.model.named_parameters():
            self.backup[name] = weight.clone()
            weight.copy_(self.shadow[name])

    @torch.no_grad()
    def restore(self):
        for name, weight in self.model.named_parameters():
            weight.copy_(self.backup[name])
        self.backup = {}


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(216, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    ema = Average(model)

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        ema.update()
        return value.item()

    def evaluate(model, loader):
        ema.store()
        metrics = classify(model, loader)
        if not faulty:
            ema.restore()
        return metrics

    def save(path):
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "ema": ema.shadow}, path)

    def load(path):
        state = torch.load(path)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        ema.shadow = state["ema"]

    return {
        "model": model,
        "optimizer": optimizer,
        "ema": ema,
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        "save": save,
        "load": load,
        "train_loader": cut(16, *pictures(seed)),
        "valid_loader": cut(32, *pictures(seed + 50, n=75)),
        "claims": {"classes": 3},
    }
