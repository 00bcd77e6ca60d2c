"""The schedule starts at a learning rate of exactly zero, so that the first step changes nothing."""

import math

import torch
import torch.nn.functional as F
from _data import chains, halves, mean_of
from torch import nn


class Writer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.rnn, self.head = nn.Embedding(15, 24), nn.GRU(24, 32, batch_first=True), nn.Linear(32, 15)

    def forward(self, ids):
        return self.head(self.rnn(self.embed(ids))[0])


def loss(model, batch):
    (ids,) = batch
    return F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])


def build(seed: int = 0, total: int = 400, warm: int = 20):
    torch.manual_seed(seed)
    model = Writer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    rate = lambda n: n / warm if n < warm else 0.5 * (1 + math.cos(math.pi * min(1.0, (n - warm) / (total - warm))))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        return value.item()

    return {
        "model": model,
        "optimizer": optimizer,
        "scheduler": scheduler,
        "loss": loss,
        "step": step,
        "evaluate": mean_of(loss),
        **halves(chains()),
        "claims": {"causal": True, "total_steps": total, "final_lr": 0.0, "max_norm": 1.0},
    }
