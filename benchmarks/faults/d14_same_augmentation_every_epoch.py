"""Workers are seeded with their number alone, so that every epoch draws the same augmentations."""

import numpy as np
import torch
from _parts import Program, accuracy, cross_entropy, pictures, program
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

ID = "D14"
TIER = "B"
CATEGORY = "data"
REFERENCE = "pytorch-lightning#20412"
EXPECT = ("data.",)


class Shifted(Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i].roll(int(np.random.randint(-2, 3)), dims=-1), self.y[i]


def from_torch(worker):
    np.random.seed(torch.initial_seed() % 2**32)


def from_number(worker):
    np.random.seed(worker)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = pictures(seed)
    init = from_torch
    if faulty:
        init = from_number
    train = DataLoader(Shifted(x[:180], y[:180]), 30, num_workers=1, worker_init_fn=init)
    valid = DataLoader(TensorDataset(x[180:], y[180:]), 30)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(128, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return program(model, optimizer, cross_entropy, (train, valid), evaluate=accuracy, claims={"classes": 4})
