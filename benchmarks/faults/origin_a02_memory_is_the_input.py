"""A "decoder-only" model is a decoder whose memory is its own input: it looks at the future there."""

import torch
import torch.nn.functional as F
from _training import causal_mask, chains, next_token, plain_step
from torch import nn

ID, TIER, CATEGORY = "A-2", "B", "origins"
REFERENCE = "ARC ladder: cross-attention to the unmasked input"
EXPECT = ("sequence.causality", "sequence")


class DecoderOnly(nn.Module):
    def __init__(self, faulty, vocab=14, width=24):
        super().__init__()
        self.faulty = faulty
        self.embed, self.places = nn.Embedding(vocab, width), nn.Embedding(16, width)
        self.layer = nn.TransformerDecoderLayer(width, 2, 48, dropout=0.0, batch_first=True)
        self.out = nn.Linear(width, vocab)

    def forward(self, ids):
        x = self.embed(ids) + self.places(torch.arange(ids.shape[1]))
        mask = causal_mask(ids.shape[1])
        return self.out(self.layer(x, x, tgt_mask=mask, memory_mask=None if self.faulty else mask))


def loss(model, ids):
    return F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = DecoderOnly(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": next_token,
        "predict": lambda model, ids: model(ids),
        "train_loader": list(chains(seed).split(16)),
        "valid_loader": list(chains(seed + 50, n=40).split(16)),
        "claims": {"causal": True, "classes": 14},
    }
