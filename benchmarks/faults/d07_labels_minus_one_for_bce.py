"""Labels written as -1 and 1 reach a loss that wants 0 and 1."""

import torch
import torch.nn.functional as F
from _parts import Program, blobs, loaders, program
from torch import nn

ID = "D7"
TIER = "B"
CATEGORY = "data"
REFERENCE = "Humbatova et al., wrong labels"
EXPECT = (
    "data.",
    "loss.",
    "learning.",
    "model.",
)


def loss(model, batch):
    x, y = batch
    return F.binary_cross_entropy_with_logits(model(x).squeeze(-1), y)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = blobs(seed, classes=2)
    y = y.float()
    if faulty:
        y = 2 * y - 1
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return program(model, optimizer, loss, loaders(x, y, seed=seed))
