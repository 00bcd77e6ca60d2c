"""The transform of the validation pictures lacks Normalize."""

import torch
from _parts import Program, accuracy, cross_entropy, pictures, program
from torch import nn
from torch.utils.data import DataLoader, Dataset

ID = "D10"
TIER = "W"
CATEGORY = "data"
REFERENCE = "pytorch forum 84911"
EXPECT = ("data.",)


class Pictures(Dataset):
    def __init__(self, x, y, transform):
        self.x, self.y, self.transform = x, y, transform

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.transform(self.x[i]), int(self.y[i])


def normalise(x):
    return (x - 0.5) / 0.18


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = pictures(seed)
    x = (0.5 + 0.18 * x).clamp(0, 1)
    held = normalise
    if faulty:
        held = torch.Tensor.float
    train, valid = Pictures(x[:180], y[:180], normalise), Pictures(x[180:], y[180:], held)
    data = DataLoader(train, 30, shuffle=True), DataLoader(valid, 30)
    model = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(96, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
