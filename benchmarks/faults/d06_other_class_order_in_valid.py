"""The class index is made anew from the validation folder, where the names sort differently."""

import torch
from _parts import Program, accuracy, cross_entropy, pictures, program
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID = "D6"
TIER = "W"
CATEGORY = "data"
REFERENCE = "ImageFolder with a missing class"
EXPECT = (
    "data.",
    "learning.",
    "evaluation.",
)


NAMES = ["cat", "dog", "emu", "fox"]


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = pictures(seed)
    index = {name: i for i, name in enumerate(NAMES)}
    train = TensorDataset(x[:180], torch.tensor([index[NAMES[i]] for i in y[:180]]))
    if faulty:
        index = {name: i for i, name in enumerate(sorted(NAMES, reverse=True))}
    valid = TensorDataset(x[180:], torch.tensor([index[NAMES[i]] for i in y[180:]]))
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(128, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    data = DataLoader(train, 20, shuffle=True), DataLoader(valid, 30)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
