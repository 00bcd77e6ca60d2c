"""Two workers, simulated in turn: each takes the mean over its own tokens, then the two are averaged."""

import torch
import torch.nn.functional as F
from _training import chains, generator
from torch import nn

ID, TIER, CATEGORY = "X4", "B", "distributed"
REFERENCE = "huggingface/transformers#34242; pytorch/torchtitan#2206; PrimeIntellect-ai/prime-rl#1957"
EXPECT = ("gradient.accumulation", "learning.step-parity")
WORKERS = 2


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(14, 24)
        self.rnn = nn.GRU(24, 32, batch_first=True)
        self.head = nn.Linear(32, 14)

    def forward(self, ids):
        return self.head(self.rnn(self.embed(ids))[0])


def questions_first(part, n):
    """Rows where only an answer of varying length is supervised."""
    ids = chains(part, n=n)
    starts = torch.randint(1, 14, (n, 1), generator=generator(part))
    labels = ids.masked_fill(torch.arange(16) < starts, -100)
    return [{"input_ids": i, "labels": y} for i, y in zip(ids.split(8), labels.split(8), strict=True)]


def summed(model, ids, labels):
    logits = model(ids)[:, :-1].flatten(0, 1)
    return F.cross_entropy(logits, labels[:, 1:].flatten(), reduction="sum", ignore_index=-100)


def supervised(labels):
    return (labels[:, 1:] != -100).sum()


def loss(model, batch):
    return summed(model, batch["input_ids"], batch["labels"]) / supervised(batch["labels"])


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        total = sum(summed(model, batch["input_ids"], batch["labels"]) for batch in loader)
    model.train()
    return {"nll": (total / sum(supervised(batch["labels"]) for batch in loader)).item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Recurrent()

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        everywhere = supervised(batch["labels"])
        shards = zip(batch["input_ids"].chunk(WORKERS), batch["labels"].chunk(WORKERS), strict=True)
        reported = 0.0
        for ids, labels in shards:
            tokens = supervised(labels) * WORKERS if faulty else everywhere
            value = summed(model, ids, labels) / tokens
            value.backward()
            reported += value.item()
        optimizer.step()
        return reported

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        "predict": lambda model, batch: model(batch["input_ids"]),
        "train_loader": questions_first(seed, 96),
        "valid_loader": questions_first(seed + 50, 30),
        "claims": {"causal": True, "classes": 14},
    }
