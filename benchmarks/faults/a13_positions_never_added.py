"""The table of positions is there, and never added."""

import torch
import torch.nn.functional as F
from _parts import Program, loaders, program, tokens
from torch import nn

ID = "A13"
TIER = "B"
CATEGORY = "model"
REFERENCE = "a table of positions that forward forgets"
EXPECT = ("model.unused-parameters",)


class Reader(nn.Module):
    def __init__(self, vocab, width, faulty):
        super().__init__()
        self.faulty = faulty
        self.word_embeddings = nn.Embedding(vocab, width)
        self.position_embeddings = nn.Parameter(torch.randn(16, width))
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.pooler = nn.Linear(width, 2)

    def forward(self, ids):
        x = self.word_embeddings(ids)
        if not self.faulty:
            x = x + self.position_embeddings
        return self.pooler(self.encoder(x).mean(1))


def loss(model, batch):
    ids, label = batch
    return F.cross_entropy(model(ids), label)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    ids = tokens(seed, n=480)
    label = (ids[:, 0] > 11).long()
    model = Reader(20, 32, faulty)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    return program(model, optimizer, loss, loaders(ids, label, seed=seed), claims={"classes": 2})
