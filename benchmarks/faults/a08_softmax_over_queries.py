"""Attention weights sum to one over the queries instead of the keys."""

import torch
from _parts import Program, cross_entropy, loaders, program, signals
from torch import nn

ID = "A8"
TIER = "B"
CATEGORY = "sequence"
REFERENCE = "torchtest2, text"
EXPECT = ("attention.", "sequence.")


class Attention(nn.Module):
    def __init__(self, width, faulty):
        super().__init__()
        self.axis = 1 if faulty else 2
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x):
        scores = torch.einsum("nqd,nkd->nqk", self.query(x), self.key(x)) / x.shape[-1] ** 0.5
        return torch.einsum("nqk,nkd->nqd", scores.softmax(self.axis), self.value(x))


class Net(nn.Module):
    def __init__(self, faulty, width=16):
        super().__init__()
        self.lift = nn.Conv1d(3, width, 5)
        self.attention = Attention(width, faulty)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, x):
        h = self.lift(x.transpose(1, 2)).relu().transpose(1, 2)
        return self.head((h + self.attention(h)).mean(1))


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Net(faulty)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return program(model, optimizer, cross_entropy, loaders(*signals(seed), seed=seed), claims={"classes": 3})
