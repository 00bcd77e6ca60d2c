"""The end token has the number of padding, which the loss ignores: no end is ever learned."""

import torch
import torch.nn.functional as F
from _training import TinyGPT, chains, generator

ID, TIER, CATEGORY = "A-7", "W", "origins"
REFERENCE = "ARC ladder: separator, padding and ignore_index are all 10"
EXPECT = ("sequence", "data", "config")
PAD = 0


def sentences(part, n, end):
    ids = chains(part, n=n, length=15, vocab=12, first=2)
    lengths = torch.randint(5, 15, (n, 1), generator=generator(part))
    places = torch.arange(16)
    ids = torch.cat([ids, ids[:, :1]], dim=1)
    ids = ids.masked_fill(places > lengths, PAD).masked_fill(places == lengths, end)
    return list(ids.split(16))


def loss(model, ids):
    return F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=PAD)


def step(model, optimizer, ids):
    optimizer.zero_grad()
    value = loss(model, ids)
    value.backward()
    optimizer.step()
    return value.item()


def evaluate(model, loader):
    model.eval()
    right = count = 0
    with torch.no_grad():
        for ids in loader:
            real = ids[:, 1:] != PAD
            right += (model(ids)[:, :-1].argmax(-1) == ids[:, 1:])[real].sum().item()
            count += real.sum().item()
    model.train()
    return {"accuracy": right / count}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    end = PAD if faulty else 1
    model = TinyGPT()
    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        "predict": lambda model, ids: model(ids),
        "train_loader": sentences(seed, 128, end),
        "valid_loader": sentences(seed + 50, 40, end),
        "claims": {"causal": True, "pad_id": PAD, "eos_id": end, "classes": 14},
    }
