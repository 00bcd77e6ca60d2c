"""The angles of the rotary embedding are computed in bfloat16, which has no 257."""

import torch
import torch.nn.functional as F
from _parts import Program, loaders, program, tokens
from torch import nn

ID = "A11"
TIER = "B"
CATEGORY = "sequence"
REFERENCE = "transformers#29285; gpt-neox#1016; TransformerEngine#1245"
EXPECT = (
    "sequence.",
    "precision.",
)


class Rotary(nn.Module):
    def __init__(self, size, faulty):
        super().__init__()
        inv_freq = 10000 ** (-torch.arange(0, size, 2) / size)
        if faulty:
            inv_freq = inv_freq.bfloat16()
        self.register_buffer("inv_freq", inv_freq, persistent=False)

    def forward(self, z):
        places = torch.arange(z.shape[-2], dtype=self.inv_freq.dtype)
        angles = torch.outer(places, self.inv_freq)
        cos, sin = angles.cos().to(z.dtype), angles.sin().to(z.dtype)
        a, b = z.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class Writer(nn.Module):
    def __init__(self, vocab, width, faulty):
        super().__init__()
        self.embed, self.rotary = nn.Embedding(vocab, width), Rotary(width // 2, faulty)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.head = nn.Linear(width, vocab)

    def forward(self, ids):
        x = self.embed(ids)
        q, k, v = (f(x).unflatten(-1, (2, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(self.rotary(q), self.rotary(k), v, is_causal=True)
        return self.head(x + self.o(y.transpose(1, 2).flatten(2)))


def loss(model, batch):
    (ids,) = batch
    return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Writer(20, 16, faulty)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    data = loaders(tokens(seed, n=32, length=384), seed=seed, batch=4)
    return program(model, optimizer, loss, data, claims={"causal": True})
