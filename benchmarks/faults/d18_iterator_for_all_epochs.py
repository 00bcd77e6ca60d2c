"""The iterator is made once, outside the loop over epochs: the second epoch is empty."""

import torch
from _parts import Program, accuracy, blobs, cross_entropy, loaders, program
from torch import nn

ID = "D18"
TIER = "B"
CATEGORY = "data"
REFERENCE = "transformers#33455"
EXPECT = ("data.",)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    train, valid = loaders(*blobs(seed), seed=seed)
    if faulty:
        train = iter(train)
    model = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    return program(model, optimizer, cross_entropy, (train, valid), evaluate=accuracy, claims={"classes": 4})
