"""Reentrant checkpointing below a frozen embedding: the first block gets no gradient."""

import torch
import torch.nn.functional as F
from _parts import Program, loaders, program, tokens
from torch import nn
from torch.utils.checkpoint import checkpoint

ID = "M19"
TIER = "B"
CATEGORY = "model"
REFERENCE = "transformers#26221; peft#1142"
EXPECT = (
    "model.unused-parameters",
    "model.",
)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(width), nn.Conv1d(width, width, 3)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        past = F.pad(self.norm(x).transpose(1, 2), (2, 0))
        return x + self.mlp(self.mix(past).transpose(1, 2))


class Writer(nn.Module):
    def __init__(self, vocab, reentrant, width=24):
        super().__init__()
        self.reentrant = reentrant
        self.embed = nn.Embedding(vocab, width).requires_grad_(False)
        self.blocks = nn.ModuleList([Block(width), Block(width)])
        self.head = nn.Linear(width, vocab)

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=self.reentrant)
        return self.head(x)


def loss(model, batch):
    (ids,) = batch
    return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Writer(20, reentrant=faulty)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    claims = {"causal": True, "frozen": ["embed"]}
    return program(model, optimizer, loss, loaders(tokens(seed), seed=seed), claims=claims)
