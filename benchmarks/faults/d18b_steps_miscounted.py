"""The number of batches in an epoch is divided by the accumulation although the loop counts batches."""

import itertools

import torch
from _parts import Program, curve, program, squared
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID = "D18b"
TIER = "B"
CATEGORY = "data"
REFERENCE = "transformers#33455"
EXPECT = ("data.",)


class Epoch:
    def __init__(self, loader, steps):
        self.loader, self.steps, self.dataset, self.batch_size = loader, steps, loader.dataset, loader.batch_size

    def __len__(self):
        return self.steps

    def __iter__(self):
        return itertools.islice(self.loader, self.steps)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = curve(seed)
    train = DataLoader(TensorDataset(x[:240], y[:240]), 20, shuffle=True)
    steps = len(train)
    if faulty:
        steps = len(train) // 4
    valid = DataLoader(TensorDataset(x[240:], y[240:]), 80)
    model = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    return program(model, optimizer, squared, (Epoch(train, steps), valid))
