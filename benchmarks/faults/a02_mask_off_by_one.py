"""The diagonal above the main one is left open: each position sees the next token."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from _parts import Program, loaders, program, tokens

ID = "A2"
TIER = "B"
CATEGORY = "sequence"
REFERENCE = "A. Karpathy's recipe, off by one"
EXPECT = ("sequence.",)


class SelfAttention(nn.Module):
    def __init__(self, d, faulty):
        super().__init__()
        self.k, self.q, self.v = (nn.Linear(d, d, bias=False) for _ in range(3))
        self.proj = nn.Linear(d, d)
        self.register_buffer("mask", torch.tril(torch.ones(32, 32), 1 if faulty else 0), persistent=False)

    def forward(self, x):
        _, T, C = x.shape
        att = self.q(x) @ self.k(x).transpose(1, 2) * C**-0.5
        att = att.masked_fill(self.mask[:T, :T] == 0, float("-inf"))
        return self.proj(F.softmax(att, dim=-1) @ self.v(x))


class TinyGPT(nn.Module):
    def __init__(self, vocab, d, faulty):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, d), nn.Embedding(32, d)
        self.attn, self.ln1, self.ln2 = SelfAttention(d, faulty), nn.LayerNorm(d), nn.LayerNorm(d)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))
        self.lm_head = nn.Linear(d, vocab, bias=False)

    def forward(self, idx):
        x = self.wte(idx) + self.wpe.weight[: idx.shape[1]]
        x = x + self.attn(self.ln1(x))
        return self.lm_head(x + self.mlp(self.ln2(x)))


def loss(model, batch):
    x, y = batch
    logits = model(x)
    return F.cross_entropy(logits.view(-1, logits.size(-1)), y.reshape(-1))


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    ids = tokens(seed)
    model = TinyGPT(20, 32, faulty)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.1)
    return program(model, optimizer, loss, loaders(ids[:, :-1], ids[:, 1:], seed=seed), claims={"causal": True})
