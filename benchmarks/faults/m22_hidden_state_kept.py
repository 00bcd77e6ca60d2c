"""The hidden state of one batch is where the next one starts."""

import torch
import torch.nn.functional as F
from _parts import Program, program, signals
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID = "M22"
TIER = "B"
CATEGORY = "evaluation"
REFERENCE = "recurrent state kept between batches"
EXPECT = (
    "evaluation.",
    "model.",
    "reproducibility.",
)


class Recogniser(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty, self.hidden = faulty, None
        self.rnn = nn.GRU(3, 24, batch_first=True)
        self.head = nn.Linear(24, 3)

    def forward(self, x):
        if not self.faulty:
            self.hidden = None
        out, hidden = self.rnn(x, self.hidden)
        self.hidden = hidden.detach()
        return self.head(out.mean(1))


def loss(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = signals(seed)
    train = DataLoader(TensorDataset(x[:180], y[:180]), 30, shuffle=True, drop_last=True)
    valid = DataLoader(TensorDataset(x[180:], y[180:]), 30)
    model = Recogniser(faulty)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return program(model, optimizer, loss, (train, valid), claims={"classes": 3})
