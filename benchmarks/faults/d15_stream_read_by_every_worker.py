"""Every worker reads the whole stream."""

import itertools

import torch
from _parts import Program, curve, program, squared
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, get_worker_info

ID = "D15"
TIER = "B"
CATEGORY = "data"
REFERENCE = "huggingface/datasets#3423, #5360; espnet#2081"
EXPECT = ("data.",)


class Stream(IterableDataset):
    def __init__(self, x, y, faulty):
        self.rows, self.faulty = list(zip(x, y, strict=True)), faulty

    def __iter__(self):
        worker = get_worker_info()
        if worker is None or self.faulty:
            return iter(self.rows)
        return itertools.islice(self.rows, worker.id, None, worker.num_workers)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = curve(seed)
    train = DataLoader(Stream(x[:240], y[:240], faulty), 20, num_workers=2)
    valid = DataLoader(TensorDataset(x[240:], y[240:]), 40)
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1))
    return program(model, torch.optim.Adam(model.parameters(), lr=5e-3), squared, (train, valid))
