"""Two linear layers with nothing between."""

import torch
from _parts import Program, curve, loaders, program, squared
from torch import nn

ID = "M10"
TIER = "W"
CATEGORY = "model"
REFERENCE = "NeuraLint; DeepCrime remove_activation"
EXPECT = ("model.",)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    layers = [nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)]
    if faulty:
        layers = layers[::2]
    model = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    return program(model, optimizer, squared, loaders(*curve(seed), seed=seed))
