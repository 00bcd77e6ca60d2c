"""Functional dropout does not know about evaluation mode."""

import torch
import torch.nn.functional as F
from _parts import Program, accuracy, blobs, cross_entropy, loaders, program
from torch import nn

ID = "M7"
TIER = "B"
CATEGORY = "evaluation"
REFERENCE = "transformers#33844"
EXPECT = ("evaluation.",)


class Net(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.inner, self.outer = nn.Linear(12, 48), nn.Linear(48, 4)

    def forward(self, x):
        h = F.relu(self.inner(x))
        h = F.dropout(h, 0.2) if self.faulty else F.dropout(h, 0.2, self.training)
        return self.outer(h)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Net(faulty)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    data = loaders(*blobs(seed), seed=seed)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
