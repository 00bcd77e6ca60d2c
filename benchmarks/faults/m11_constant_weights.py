"""All weights start equal, so all hidden units stay equal."""

import torch
from _parts import Program, accuracy, blobs, cross_entropy, loaders, program
from torch import nn

ID = "M11"
TIER = "W"
CATEGORY = "model"
REFERENCE = "NeuraLint; DeepCrime change_weights_initialisation"
EXPECT = ("model.",)


def init(faulty):
    def start(module):
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
            nn.init.constant_(module.weight, 0.1) if faulty else nn.init.xavier_uniform_(module.weight)

    return start


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(12, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 4))
    model.apply(init(faulty))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = loaders(*blobs(seed), seed=seed)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
