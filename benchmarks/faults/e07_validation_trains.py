"""Validation reuses the training step to get its loss."""

import torch
from _training import cut, mlp, slope
from torch.nn.functional import mse_loss

ID, TIER, CATEGORY = "E7", "B", "evaluation"
REFERENCE = "PKU-YuanGroup/Open-Sora-Plan#186"
EXPECT = ("evaluation",)


class Regression:
    def __init__(self, faulty, seed):
        torch.manual_seed(seed)
        self.faulty = faulty
        self.model = mlp(6, 24, 1)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=4e-3)

    def loss(self, model, batch):
        return mse_loss(model(batch[0]).squeeze(-1), batch[1])

    def step(self, model, optimizer, batch):
        optimizer.zero_grad()
        value = self.loss(model, batch)
        value.backward()
        optimizer.step()
        return value.item()

    def evaluate(self, model, loader):
        model.eval()
        total = rows = 0
        for batch in loader:
            value = self.step(model, self.optimizer, batch) if self.faulty else self.loss(model, batch).item()
            total, rows = total + value * len(batch[1]), rows + len(batch[1])
        model.train()
        return {"mse": total / rows}


def build(faulty: bool = False, seed: int = 0) -> dict:
    run = Regression(faulty, seed)
    return {
        "model": run.model,
        "optimizer": run.optimizer,
        "loss": run.loss,
        "step": run.step,
        "evaluate": run.evaluate,
        "train_loader": cut(24, *slope(seed)),
        "valid_loader": cut(24, *slope(seed + 50, n=80)),
        "claims": {},
    }
