"""The file counts classes from one."""

import torch
from _parts import Program, accuracy, blobs, cross_entropy, loaders, program
from torch import nn

ID = "D7b"
TIER = "B"
CATEGORY = "data"
REFERENCE = "Humbatova et al., wrong labels"
EXPECT = (
    "data.",
    "model.",
    "loss.",
)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = blobs(seed, classes=5)
    if faulty:
        y = y + 1
    model = nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 5))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    data = loaders(x, y, seed=seed, batch=16)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 5})
