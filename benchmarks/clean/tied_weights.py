"""The output layer is the transposed embedding."""

import torch
import torch.nn.functional as F
from _data import chains, halves, mean_of, step_on
from torch import nn


class Writer(nn.Module):
    def __init__(self, vocab=15, width=32):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        nn.init.normal_(self.embed.weight, std=0.2)
        self.place = nn.Parameter(0.02 * torch.randn(14, width))
        layer = nn.TransformerEncoderLayer(width, 4, 64, 0.1, activation="gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, vocab, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        n = ids.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(n)
        return self.head(self.blocks(self.embed(ids) + self.place[:n], mask=mask, is_causal=True))


def loss(model, batch):
    (ids,) = batch
    return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


def build(seed: int = 0):
    torch.manual_seed(seed)
    model = Writer()
    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    return {
        "model": model,
        "optimizer": torch.optim.AdamW(groups, lr=3e-3),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        **halves(chains()),
        "claims": {"causal": True},
    }
