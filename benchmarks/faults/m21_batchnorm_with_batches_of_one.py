"""Batches of one under BatchNorm."""

import torch
from _parts import Program, accuracy, cross_entropy, loaders, pictures, program
from torch import nn

ID = "M21"
TIER = "W"
CATEGORY = "model"
REFERENCE = "torch-audit TA304"
EXPECT = (
    "model.",
    "data.",
)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    size = 24
    if faulty:
        size = 1
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU()
    ).extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    data = loaders(*pictures(seed), seed=seed, batch=size)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
