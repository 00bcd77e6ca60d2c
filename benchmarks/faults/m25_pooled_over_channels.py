"""The global average runs over channels and rows, so that columns pass for channels."""

import torch
from _parts import Program, accuracy, cross_entropy, loaders, pictures, program
from torch import nn

ID = "M25"
TIER = "W"
CATEGORY = "model"
REFERENCE = "NeuraLint"
EXPECT = (
    "model.",
    "learning.",
)


class Net(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.axes = (1, 2) if faulty else (2, 3)
        self.conv = nn.Sequential(nn.Conv2d(3, 10, 3, padding=1), nn.ReLU(), nn.Conv2d(10, 10, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(10, 4)

    def forward(self, x):
        return self.head(self.conv(x).mean(self.axes))


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Net(faulty)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    data = loaders(*pictures(seed), seed=seed)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
