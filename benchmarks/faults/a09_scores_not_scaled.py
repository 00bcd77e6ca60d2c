"""The scores are not divided by the root of the head size."""

import torch
from _parts import Program, cross_entropy, loaders, program, signals
from torch import nn

ID = "A9"
TIER = "W"
CATEGORY = "sequence"
REFERENCE = "attention without the root of the head size"
EXPECT = (
    "sequence.",
    "model.",
)


class Attention(nn.Module):
    def __init__(self, width, heads, faulty):
        super().__init__()
        self.heads, self.scale = heads, 1.0 if faulty else (width // heads) ** -0.5
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(self.scale * (q @ k.mT), dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(n, t, d))


class Net(nn.Module):
    def __init__(self, faulty, width=64):
        super().__init__()
        self.lift = nn.Conv1d(3, width, 5)
        self.norm, self.attention = nn.LayerNorm(width), Attention(width, 2, faulty)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        h = self.lift(x.transpose(1, 2)).transpose(1, 2)
        return self.head((h + self.attention(self.norm(h))).relu().mean(1))


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Net(faulty)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    return program(model, optimizer, cross_entropy, loaders(*signals(seed), seed=seed), claims={"classes": 3})
