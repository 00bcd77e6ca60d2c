"""A running mean of the inputs is kept, in evaluation too."""

import torch
from _parts import Program, curve, loaders, program, squared
from torch import nn

ID = "M20"
TIER = "B"
CATEGORY = "evaluation"
REFERENCE = "state changed in forward"
EXPECT = ("evaluation.",)


class Centred(nn.Module):
    def __init__(self, features, faulty):
        super().__init__()
        self.faulty = faulty
        self.register_buffer("centre", torch.zeros(features))
        self.net = nn.Sequential(nn.Linear(features, 32), nn.SiLU(), nn.Linear(32, 1))

    def forward(self, x):
        if self.training or self.faulty:
            self.centre.lerp_(x.detach().mean(0), 0.05)
        return self.net(x - self.centre)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = curve(seed)
    model = Centred(6, faulty)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return program(model, optimizer, squared, loaders(x + 2, y, seed=seed))
