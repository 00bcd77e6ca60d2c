"""Said to be causal: an encoder without a mask."""

import torch
import torch.nn.functional as F
from _training import causal_mask, chains, next_token
from torch import nn

ID, TIER, CATEGORY = "G-3", "B", "origins"
REFERENCE = "Astro: no causal mask in a causal language model"
EXPECT = ("sequence.causality", "sequence")


class Stack(nn.Module):
    def __init__(self, faulty, width=24):
        super().__init__()
        self.faulty = faulty
        self.embed = nn.Embedding(14, width)
        self.places = nn.Embedding(16, width)
        layer = nn.TransformerEncoderLayer(width, 4, 48, dropout=0.0, activation="gelu", batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2)
        self.lm_head = nn.Linear(width, 14, bias=False)
        self.lm_head.weight = self.embed.weight

    def forward(self, ids):
        x = self.embed(ids) + self.places(torch.arange(ids.shape[1]))
        return self.lm_head(self.layers(x, mask=None if self.faulty else causal_mask(ids.shape[1]))) * 0.15


def loss(model, ids):
    return F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def step(model, optimizer, ids):
    value = loss(model, ids)
    value.backward()
    optimizer.step()
    optimizer.zero_grad()
    return value.item()


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Stack(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=2e-3),
        "loss": loss,
        "step": step,
        "evaluate": next_token,
        "predict": lambda model, ids: model(ids),
        "train_loader": list(chains(seed).split(16)),
        "valid_loader": list(chains(seed + 50, n=40).split(16)),
        "claims": {"causal": True, "classes": 14},
    }
