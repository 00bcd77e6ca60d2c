"""Raw scores go into the negative log-likelihood."""

import torch
import torch.nn.functional as F
from _parts import Program, accuracy, blobs, loaders, program
from torch import nn

ID = "M9"
TIER = "B"
CATEGORY = "loss"
REFERENCE = "NeuraLint"
EXPECT = (
    "loss.",
    "model.",
)


class Net(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.body = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 4))

    def forward(self, x):
        scores = self.body(x)
        return scores if self.faulty else F.log_softmax(scores, dim=1)


def loss(model, batch):
    inputs, labels = batch
    return F.nll_loss(model(inputs), labels)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Net(faulty)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    return program(model, optimizer, loss, loaders(*blobs(seed), seed=seed), evaluate=accuracy, claims={"classes": 4})
