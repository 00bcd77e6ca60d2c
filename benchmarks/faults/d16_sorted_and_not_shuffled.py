"""Rows sorted by class are read in order."""

import torch
from _parts import Program, accuracy, blobs, cross_entropy, program
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID = "D16"
TIER = "W"
CATEGORY = "data"
REFERENCE = "trainlint TL014"
EXPECT = ("data.",)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = blobs(seed)
    order = y[:240].argsort()
    shuffle = True
    if faulty:
        shuffle = False
    train = DataLoader(TensorDataset(x[order], y[order]), 24, shuffle=shuffle)
    valid = DataLoader(TensorDataset(x[240:], y[240:]), 80)
    model = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    return program(model, optimizer, cross_entropy, (train, valid), evaluate=accuracy, claims={"classes": 4})
