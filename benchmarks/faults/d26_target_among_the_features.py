"""A column of the table was computed from the target."""

import torch
from _parts import Program, accuracy, blobs, cross_entropy, loaders, program
from torch import nn

ID = "D26"
TIER = "W"
CATEGORY = "data"
REFERENCE = "look-ahead features"
EXPECT = (
    "data.",
    "learning.",
    "model.",
)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = blobs(seed, classes=2, spread=4.0)
    extra = torch.randn(len(y), 1)
    if faulty:
        extra = 8.0 * y[:, None] - 4.0 + 0.1 * extra
    x = torch.cat([x, extra], dim=1)
    model = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return program(model, optimizer, cross_entropy, loaders(x, y, seed=seed), evaluate=accuracy, claims={"classes": 2})
