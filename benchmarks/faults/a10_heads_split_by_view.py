"""Heads are split by a view that cuts through tokens, so that later tokens reach earlier ones."""

import torch
import torch.nn.functional as F
from _parts import Program, loaders, program, tokens
from torch import nn

ID = "A10"
TIER = "B"
CATEGORY = "sequence"
REFERENCE = "torchtest2 declares itself blind to it"
EXPECT = (
    "sequence.",
    "model.",
)


class Attention(nn.Module):
    def __init__(self, width, heads, faulty):
        super().__init__()
        self.heads, self.faulty = heads, faulty
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))

    def split(self, z):
        n, t, d = z.shape
        if self.faulty:
            return z.view(n, self.heads, t, d // self.heads)
        return z.view(n, t, self.heads, d // self.heads).transpose(1, 2)

    def forward(self, x):
        q, k, v = (self.split(layer(x)) for layer in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o(y.transpose(1, 2).reshape(x.shape))


class Writer(nn.Module):
    def __init__(self, vocab, width, faulty):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.place = nn.Parameter(torch.randn(16, width))
        self.norm, self.attention = nn.LayerNorm(width), Attention(width, 4, faulty)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 64), nn.GELU(), nn.Linear(64, vocab))

    def forward(self, ids):
        x = self.embed(ids) + self.place[: ids.shape[1]]
        return self.head(x + self.attention(self.norm(x)))


def loss(model, batch):
    ids, following = batch
    return F.cross_entropy(model(ids).flatten(0, 1), following.flatten())


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    ids = tokens(seed, length=17)
    model = Writer(20, 32, faulty)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    data = loaders(ids[:, :-1], ids[:, 1:], seed=seed)
    predict = lambda model, batch: model(batch[0])
    return program(model, optimizer, loss, data, predict=predict, claims={"causal": True})
