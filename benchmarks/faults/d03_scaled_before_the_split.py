"""The scaler has seen the validation rows."""

import torch
from _parts import Program, curve, mean_loss, program, squared
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID = "D3"
TIER = "W"
CATEGORY = "data"
REFERENCE = "trainlint TL013"
EXPECT = ("data.",)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = curve(seed)
    x = x * torch.tensor([3.0, 1.0, 10.0, 0.2, 5.0, 1.0]) + 4.0
    known = x[:240]
    if faulty:
        known = x
    x = (x - known.mean(0)) / known.std(0)
    train, valid = TensorDataset(x[:240], y[:240]), TensorDataset(x[240:], y[240:])
    model = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    data = DataLoader(train, 40, shuffle=True), DataLoader(valid, 80)
    return program(model, optimizer, squared, data, evaluate=mean_loss(squared))
