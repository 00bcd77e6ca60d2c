"""The running loss is a tensor with history: memory grows with every step."""

import torch
from _training import classify, cut, mlp, pictures
from torch import nn

ID, TIER, CATEGORY = "L15", "W", "loss"
REFERENCE = "PyTorch FAQ: don't accumulate history across your training loop"
EXPECT = ("efficiency", "learning", "loss")


class Trainer:
    def __init__(self, faulty):
        self.faulty, self.total, self.steps = faulty, 0.0, 0

    def loss(self, model, batch):
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    def step(self, model, optimizer, batch):
        model.train()
        value = self.loss(model, batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        self.total += value if self.faulty else value.item()
        self.steps += 1
        return float(value)


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model, trainer = nn.Sequential(nn.Flatten(), *mlp(64, 64, 64, 3)), Trainer(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-3),
        "loss": trainer.loss,
        "step": trainer.step,
        "evaluate": classify,
        "train_loader": cut(32, *pictures(seed)),
        "valid_loader": cut(32, *pictures(seed + 50, n=70)),
        "claims": {"classes": 3},
    }
