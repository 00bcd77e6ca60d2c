"""A normalisation is defined, and forward forgets it."""

import torch
import torch.nn.functional as F
from _parts import Program, loaders, program, signals
from torch import nn

ID = "M2"
TIER = "B"
CATEGORY = "model"
REFERENCE = "torchtest2 README; unused parameters under DistributedDataParallel"
EXPECT = ("model.unused-parameters",)


class Encoder(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.lift = nn.Conv1d(3, 24, 5, padding=2)
        layer = nn.TransformerEncoderLayer(24, 4, 48, dropout=0.1, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(24)
        self.head = nn.Linear(24, 3)

    def forward(self, x):
        x = self.body(self.lift(x.transpose(1, 2)).transpose(1, 2))
        if not self.faulty:
            x = self.norm(x)
        return self.head(x.mean(dim=1))


def loss(model, batch):
    x, y = batch
    return F.cross_entropy(model(x), y)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Encoder(faulty)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    return program(model, optimizer, loss, loaders(*signals(seed), seed=seed), claims={"classes": 3})
