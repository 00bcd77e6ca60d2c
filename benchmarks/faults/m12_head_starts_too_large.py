"""The last layer starts with a standard deviation of three."""

import torch
from _parts import Program, accuracy, cross_entropy, loaders, pictures, program
from torch import nn

ID = "M12"
TIER = "W"
CATEGORY = "model"
REFERENCE = "A. Karpathy's recipe"
EXPECT = ("model.initial-loss",)


class Net(nn.Module):
    def __init__(self, std):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(256, 4)
        nn.init.normal_(self.head.weight, 0.0, std)

    def forward(self, x):
        return self.head(self.stem(x))


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Net(std=3.0 if faulty else 0.02)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    data = loaders(*pictures(seed), seed=seed)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
