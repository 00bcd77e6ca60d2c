"""The column of labels is off by one row."""

import torch
from _parts import Program, accuracy, blobs, cross_entropy, loaders, program
from torch import nn

ID = "D4"
TIER = "W"
CATEGORY = "data"
REFERENCE = "DeepCrime change_label; TheDeepChecker wrong_labels"
EXPECT = (
    "learning.",
    "data.",
)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = blobs(seed)
    if faulty:
        y = y.roll(1)
    model = nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    data = loaders(x, y, seed=seed)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
