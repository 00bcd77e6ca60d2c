"""A bias of minus ten before a ReLU: most units never fire."""

import torch
from _parts import Program, accuracy, blobs, cross_entropy, loaders, program
from torch import nn

ID = "M24"
TIER = "W"
CATEGORY = "model"
REFERENCE = "TheDeepChecker"
EXPECT = (
    "model.",
    "learning.",
)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    bias = 0.0
    if faulty:
        bias = -10.0
    nn.init.constant_(model[0].bias[:48], bias)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    data = loaders(*blobs(seed), seed=seed)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
