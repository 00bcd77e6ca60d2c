"""Back from time-first by reshape where transpose is meant: rows of other samples come along."""

import torch
import torch.nn.functional as F
from _parts import Program, loaders, program, signals
from torch import nn

ID = "M4"
TIER = "B"
CATEGORY = "model"
REFERENCE = "A. Karpathy's recipe; pl_bolts BatchGradientVerification"
EXPECT = ("model.batch-mixing",)


class Tagger(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.rnn = nn.GRU(3, 20)
        self.head = nn.Linear(20, 3)

    def forward(self, x):
        n, t, _ = x.shape
        h, _ = self.rnn(x.transpose(0, 1))
        h = h.reshape(n, t, -1) if self.faulty else h.transpose(0, 1)
        return self.head(h.mean(1))


def loss(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Tagger(faulty)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return program(model, optimizer, loss, loaders(*signals(seed), seed=seed, batch=20), claims={"classes": 3})
