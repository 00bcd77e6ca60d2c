"""What cannot be read is replaced by the first sample, and the reader fails often."""

import torch
from _parts import Program, accuracy, cross_entropy, pictures, program
from torch import nn
from torch.utils.data import DataLoader, Dataset

ID = "D28"
TIER = "W"
CATEGORY = "data"
REFERENCE = "a reader that swallows errors"
EXPECT = ("data.",)


class Folder(Dataset):
    def __init__(self, x, y, faulty):
        self.x, self.y, self.faulty = x, y, faulty

    def __len__(self):
        return len(self.x)

    def read(self, i):
        if self.faulty and i % 5 == 4:  # the path of every fifth file is wrong
            raise FileNotFoundError(i)
        return self.x[i]

    def __getitem__(self, i):
        try:
            return self.read(i), self.y[i]
        except FileNotFoundError:
            return self[0]


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = pictures(seed)
    train, valid = Folder(x[:180], y[:180], faulty), Folder(x[180:], y[180:], False)
    data = DataLoader(train, 20, shuffle=True), DataLoader(valid, 60)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(128, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
