"""The encoder is frozen, but its BatchNorm goes on averaging."""

import torch
import torch.nn.functional as F
from _parts import Program, loaders, mean_loss, pictures, program
from torch import nn

ID = "M18"
TIER = "W"
CATEGORY = "model"
REFERENCE = "lightly#1438; indexnet#35"
EXPECT = (
    "model.",
    "optimization.",
)


class Net(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.encoder = nn.Sequential(nn.Conv2d(3, 12, 3, stride=2), nn.BatchNorm2d(12), nn.ReLU(), nn.Flatten())
        self.encoder.requires_grad_(False)
        self.head = nn.Sequential(nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 4))

    def train(self, mode=True):
        super().train(mode)
        if not self.faulty:
            self.encoder.eval()
        return self

    def forward(self, x):
        return self.head(self.encoder(x))


def loss(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Net(faulty)
    optimizer = torch.optim.Adam(model.head.parameters(), lr=3e-3)
    data = loaders(*pictures(seed), seed=seed)
    claims = {"classes": 4, "frozen": ["encoder"]}
    return program(model.train(), optimizer, loss, data, evaluate=mean_loss(loss), claims=claims)
