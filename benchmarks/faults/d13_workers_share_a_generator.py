"""The data set owns a NumPy generator, which every worker inherits in the same state."""

import numpy as np
import torch
from _parts import Program, accuracy, blobs, cross_entropy, program
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

ID = "D13"
TIER = "B"
CATEGORY = "data"
REFERENCE = "CenterNet#233; ultralytics/yolov5#2761; pytorch-lightning#6960"
EXPECT = ("data.",)


class Jittered(Dataset):
    def __init__(self, x, y, faulty):
        self.x, self.y, self.faulty = x, y, faulty
        self.rng = np.random.RandomState(0)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        noise = torch.randn(self.x[i].shape)
        if self.faulty:
            noise = torch.from_numpy(self.rng.randn(*self.x[i].shape)).float()
        return self.x[i] + 0.1 * noise, self.y[i]


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = blobs(seed)
    train = DataLoader(Jittered(x[:240], y[:240], faulty), 30, shuffle=True, num_workers=2)
    valid = DataLoader(TensorDataset(x[240:], y[240:]), 40)
    model = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return program(model, optimizer, cross_entropy, (train, valid), evaluate=accuracy, claims={"classes": 4})
