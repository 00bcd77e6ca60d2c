"""Masked words: a row in which no word was masked makes the mean a division by zero."""

import torch
import torch.nn.functional as F
from _training import chains, generator, plain_step
from torch import nn

ID, TIER, CATEGORY = "L12", "W", "loss"
REFERENCE = "pytorch/pytorch#116349"
EXPECT = ("sequence.token-supervision", "loss", "model.nonfinite-values")
MASK = 14


class MaskedModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(15, 24)
        self.mixer = nn.GRU(24, 16, batch_first=True, bidirectional=True)
        self.head = nn.Linear(32, 14)

    def forward(self, ids):
        return self.head(self.mixer(self.embed(ids))[0])


def masked(part, n, faulty):
    draw = generator(part + 17)
    batches = []
    for ids in chains(part, n=n, length=8).split(2):
        chosen = torch.rand(ids.shape, generator=draw) < 0.15
        if not faulty and not chosen.any():
            chosen[0, 3] = True
        batches.append((ids.masked_fill(chosen, MASK), ids.masked_fill(~chosen, -100)))
    return batches


def evaluate(model, loader):
    model.eval()
    total = count = 0
    with torch.no_grad():
        for ids, labels in loader:
            total += F.cross_entropy(model(ids).transpose(1, 2), labels, reduction="sum").item()
            count += (labels != -100).sum().item()
    model.train()
    return {"loss": total / count}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = MaskedModel()

    def loss(model, batch):
        ids, labels = batch
        return F.cross_entropy(model(ids).transpose(1, 2), labels)

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "predict": lambda model, batch: model(batch[0]),
        "train_loader": masked(seed, 160, faulty),
        "valid_loader": masked(seed + 50, 41, False),
        "claims": {"classes": 14},
    }
