"""Metrics are made in every tenth epoch and read in each: the second epoch ends with an error."""

import torch
from _training import blobs, classify, cut, mlp
from torch.nn.functional import cross_entropy

ID, TIER, CATEGORY = "S-1", "B", "origins"
REFERENCE = "SAFE: UnboundLocalError at epoch 1"
EXPECT = ("learning", "model", "reproducibility")


class Stage:
    def __init__(self, model, batches, held_out, faulty):
        self.model, self.held_out, self.faulty = model, held_out, faulty
        self.per_epoch, self.calls, self.best = len(batches), 0, 0.0

    def loss(self, model, batch):
        return cross_entropy(model(batch[0]), batch[1])

    def end_of_epoch(self, epoch):
        if epoch % 10 == 0 or not self.faulty:
            metrics = classify(self.model, self.held_out)
        self.best = max(self.best, metrics["accuracy"])

    def step(self, model, optimizer, batch):
        optimizer.zero_grad()
        value = self.loss(model, batch)
        value.backward()
        optimizer.step()
        self.calls += 1
        if self.calls % self.per_epoch == 0:
            self.end_of_epoch(self.calls // self.per_epoch - 1)
        return value.item()


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(8, 24, 4)
    train, valid = cut(40, *blobs(seed)), cut(40, *blobs(seed + 50, n=90))
    stage = Stage(model, train, valid, faulty)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": stage.loss,
        "step": stage.step,
        "evaluate": classify,
        "train_loader": train,
        "valid_loader": valid,
        "claims": {"classes": 4},
    }
