"""A distributed sampler that is never told the epoch: the same order in all of them."""

import torch
from _parts import Program, accuracy, blobs, cross_entropy, program
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

ID = "D17"
TIER = "B"
CATEGORY = "data"
REFERENCE = "pytorch#31771; transformers#4398"
EXPECT = ("data.",)


class Epochs:
    """The loader of one rank; each iteration is an epoch."""

    def __init__(self, data, batch, faulty):
        self.dataset, self.faulty, self.epoch = data, faulty, 0
        self.sampler = DistributedSampler(data, num_replicas=2, rank=0, shuffle=True)
        self.batches = DataLoader(data, batch, sampler=self.sampler)

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        if not self.faulty:
            self.sampler.set_epoch(self.epoch)
        self.epoch += 1
        return iter(self.batches)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = blobs(seed)
    train = Epochs(TensorDataset(x[:240], y[:240]), 24, faulty)
    valid = DataLoader(TensorDataset(x[240:], y[240:]), 80)
    model = nn.Sequential(nn.Linear(12, 32), nn.GELU(), nn.Linear(32, 4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    return program(model, optimizer, cross_entropy, (train, valid), evaluate=accuracy, claims={"classes": 4})
