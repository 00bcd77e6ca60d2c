"""A stream without length that shuffles in a buffer, read by two workers that share it out."""

import random

import torch
import torch.nn.functional as F
from _data import blobs, mean_of, step_on
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, get_worker_info


class Stream(IterableDataset):
    def __init__(self, rows, buffer=50):
        self.rows, self.buffer = rows, buffer

    def __iter__(self):
        worker = get_worker_info()
        part = self.rows if worker is None else self.rows[worker.id :: worker.num_workers]
        held = []
        for row in part:
            held.append(row)
            if len(held) >= self.buffer:
                yield held.pop(random.randrange(len(held)))
        random.shuffle(held)
        yield from held


def build(seed: int = 0):
    torch.manual_seed(seed)
    x, y = blobs()
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 3))
    loss = lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        "train_loader": DataLoader(Stream(list(zip(x[:240], y[:240], strict=True))), 20, num_workers=2),
        "valid_loader": DataLoader(TensorDataset(x[240:], y[240:]), 30),
        "claims": {"classes": 3},
    }
