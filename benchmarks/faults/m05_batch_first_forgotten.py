"""Multi-head attention without batch_first gets batches first: samples attend to each other."""

import torch
from _parts import Program, cross_entropy, loaders, program, signals
from torch import nn

ID = "M5"
TIER = "B"
CATEGORY = "model"
REFERENCE = "torchtest2, gallery"
EXPECT = ("model.batch-mixing",)


class Attentive(nn.Module):
    def __init__(self, batch_first):
        super().__init__()
        self.lift = nn.Conv1d(3, 16, 5, padding=2)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=batch_first)
        self.head = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 3))

    def forward(self, x):
        h = self.lift(x.transpose(1, 2)).transpose(1, 2)
        h = h + self.attention(h, h, h, need_weights=False)[0]
        return self.head(h.mean(1))


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Attentive(batch_first=not faulty)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return program(model, optimizer, cross_entropy, loaders(*signals(seed), seed=seed), claims={"classes": 3})
