"""BERT-like: a sixth of the tokens is masked anew for each batch, in the loss, and only they count."""

import torch
import torch.nn.functional as F
from _data import chains, halves, mean_of, step_on
from torch import nn

MASK = 1


class Encoder(nn.Module):
    def __init__(self, vocab=15, width=24):
        super().__init__()
        self.embed, self.place = nn.Embedding(vocab, width), nn.Parameter(0.3 * torch.randn(14, width))
        layer = nn.TransformerEncoderLayer(width, 2, 48, dropout=0.0, batch_first=True)
        self.body, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(width, vocab)

    def forward(self, ids):
        return self.head(self.body(self.embed(ids) + self.place))


def loss(model, batch):
    (ids,) = batch
    hidden = torch.rand(ids.shape) < 0.17
    hidden[:, 3] = True
    logits = model(ids.masked_fill(hidden, MASK))
    return F.cross_entropy(logits[hidden], ids[hidden])


def build(seed: int = 0):
    torch.manual_seed(seed)
    model = Encoder()
    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        **halves(chains()),
        "claims": {"stochastic": True},
    }
