"""A separator is added to the vocabulary, the embedding keeps its size."""

import torch
from _parts import Program, accuracy, cross_entropy, loaders, program, tokens
from torch import nn

ID = "D25"
TIER = "B"
CATEGORY = "data"
REFERENCE = "Qwen#405"
EXPECT = (
    "model.",
    "data.",
    "learning.dry-run",
)


class Bag(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.embed = nn.Embedding(vocab, 16)
        self.head = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, ids):
        return self.head(self.embed(ids).mean(1))


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    ids = tokens(seed)
    y = (ids.float().mean(1) > 11).long()
    separator = 20
    ids[:, 8] = separator
    size = 21
    if faulty:
        size = 20
    model = Bag(size)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    data = loaders(ids, y, seed=seed)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 2})
