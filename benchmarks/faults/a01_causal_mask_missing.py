"""A small decoder whose attention sees the tokens that it is to predict."""

import torch
import torch.nn.functional as F
from _parts import Program, loaders, program, tokens
from torch import Tensor, nn

ID = "A1"
TIER = "B"
CATEGORY = "sequence"
REFERENCE = "A. Karpathy, A Recipe for Training Neural Networks (2019)"
EXPECT = ("sequence.causality",)


class Block(nn.Module):
    def __init__(self, width: int, heads: int, faulty: bool) -> None:
        super().__init__()
        self.heads, self.faulty = heads, faulty
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        q, k, v = (z.view(n, t, self.heads, -1).transpose(1, 2) for z in self.qkv(self.norm1(x)).chunk(3, dim=-1))
        scores = q @ k.transpose(-2, -1) / (d // self.heads) ** 0.5
        future = torch.ones(t, t, dtype=torch.bool).triu(1)
        if not self.faulty:
            scores = scores.masked_fill(future, float("-inf"))
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, d)
        x = x + self.out(y)
        return x + self.mlp(self.norm2(x))


class Decoder(nn.Module):
    def __init__(self, vocab: int, length: int, faulty: bool, width: int = 24) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(vocab, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList([Block(width, 4, faulty) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocab)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.token(ids) + self.place(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def next_token(model: nn.Module, batch: list[Tensor]) -> Tensor:
    ids = batch[0]
    logits = model(ids[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def predict(model: nn.Module, batch: list[Tensor]) -> Tensor:
    return model(batch[0][:, :-1])


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Decoder(vocab=20, length=16, faulty=faulty)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    data = loaders(tokens(seed), seed=seed)
    return program(model, optimizer, next_token, data, predict=predict, claims={"causal": True, "classes": 20})
