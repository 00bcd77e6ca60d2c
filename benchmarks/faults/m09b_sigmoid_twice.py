"""Multi-label scores pass a sigmoid in the model and another in the loss."""

import torch
import torch.nn.functional as F
from _parts import Program, loaders, program
from torch import nn

ID = "M9b"
TIER = "B"
CATEGORY = "loss"
REFERENCE = "NeuraLint"
EXPECT = (
    "loss.",
    "model.",
)


class Labeller(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(10, 40), nn.ReLU(), nn.Linear(40, 5))
        if faulty:
            self.net.append(nn.Sigmoid())

    def forward(self, x):
        return self.net(x)


def loss(model, batch):
    x, present = batch
    return F.binary_cross_entropy_with_logits(model(x), present)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x = torch.randn(320, 10)
    present = (x @ torch.randn(10, 5) + 0.3 * torch.randn(320, 5) > 0.5).float()
    model = Labeller(faulty)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    return program(model, optimizer, loss, loaders(x, present, seed=seed))
