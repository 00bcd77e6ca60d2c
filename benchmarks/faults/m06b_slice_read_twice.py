"""Both halves of the features are taken from the front."""

import torch
from _parts import Program, curve, loaders, program, squared
from torch import nn

ID = "M6b"
TIER = "W"
CATEGORY = "model"
REFERENCE = "torchtest2, gallery"
EXPECT = (
    "model.",
    "data.",
)


class TwoSensors(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.second = slice(0, 4) if faulty else slice(4, 8)
        self.a, self.b = nn.Linear(4, 16), nn.Linear(4, 16)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        return self.out(torch.cat([self.a(x[:, :4]), self.b(x[:, self.second])], dim=1).tanh())


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = TwoSensors(faulty)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return program(model, optimizer, squared, loaders(*curve(seed, features=8), seed=seed))
