"""Part of the validation pictures was already in the training folder."""

import torch
from _parts import Program, accuracy, cross_entropy, pictures, program
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset

ID = "D1"
TIER = "B"
CATEGORY = "data"
REFERENCE = "stefyste/RIAWELC#2; huggingface/datasets#4261"
EXPECT = ("data.split-overlap",)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    everything = TensorDataset(*pictures(seed))
    train, valid = Subset(everything, range(180)), Subset(everything, range(180, 240))
    if faulty:
        valid = ConcatDataset([valid, Subset(train, range(20))])
    data = DataLoader(train, 30, shuffle=True), DataLoader(valid, 60)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(200, 32),
        nn.ReLU(),
        nn.Linear(32, 4),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
