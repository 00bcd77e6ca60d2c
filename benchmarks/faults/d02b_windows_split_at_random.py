"""Windows that overlap are cut from long recordings, then split at random instead of by recording."""

import torch
from _parts import Program, accuracy, cross_entropy, program
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID = "D2b"
TIER = "W"
CATEGORY = "data"
REFERENCE = "stefyste/RIAWELC#2 (overlapping windows)"
EXPECT = ("data.",)


def recordings(seed, number=24, length=120, width=24, hop=4):
    drawn = torch.Generator().manual_seed(seed)
    windows, labels = [], []
    for index in range(number):
        kind = index % 3
        wave = torch.sin(torch.arange(length) * (0.3 + 0.25 * kind) + 6 * torch.rand(1, generator=drawn))
        wave = wave + 0.3 * torch.randn(length, generator=drawn)
        cut = wave.unfold(0, width, hop)
        windows.append(cut)
        labels.append(torch.full((len(cut),), kind))
    return torch.stack(windows), torch.stack(labels)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = recordings(seed)
    if faulty:
        order = torch.randperm(x.shape[0] * x.shape[1])
        x, y = (z.flatten(0, 1)[order].view(z.shape) for z in (x, y))
    train = TensorDataset(x[:18].flatten(0, 1), y[:18].flatten())
    valid = TensorDataset(x[18:].flatten(0, 1), y[18:].flatten())
    model = nn.Sequential(nn.Unflatten(1, (1, 24)), nn.Conv1d(1, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(160, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    data = DataLoader(train, 32, shuffle=True), DataLoader(valid, 64)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 3})
