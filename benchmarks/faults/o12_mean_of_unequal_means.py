"""A long batch is cut into pieces: each piece counts the same, however few tokens it has."""

import torch
import torch.nn.functional as F
from _training import TinyGPT, chains, generator

ID, TIER, CATEGORY = "O12", "B", "optimizer"
REFERENCE = "huggingface/transformers#34191, #35438; axolotl-ai-cloud/axolotl#1100"
EXPECT = ("gradient.accumulation", "learning.step-parity")
PAD = 0


def padded(part, n):
    ids = chains(part, n=n, vocab=13, first=1)
    lengths = torch.randint(4, 17, (n, 1), generator=generator(part))
    return list(ids.masked_fill(torch.arange(16) >= lengths, PAD).split(16))


def summed(model, ids):
    """The total loss over real tokens, and how many they are."""
    targets = ids[:, 1:]
    logits = model(ids)[:, :-1].flatten(0, 1)
    total = F.cross_entropy(logits, targets.flatten(), ignore_index=PAD, reduction="sum")
    return total, (targets != PAD).sum()


def loss(model, ids):
    total, tokens = summed(model, ids)
    return total / tokens


@torch.no_grad()
def evaluate(model, loader):
    sums = [summed(model.eval(), ids) for ids in loader]
    model.train()
    return {"loss": (sum(total for total, _ in sums) / sum(tokens for _, tokens in sums)).item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = TinyGPT()

    def step(model, optimizer, ids):
        pieces = ids.split(4)
        tokens = (ids[:, 1:] != PAD).sum()
        optimizer.zero_grad()
        reported = 0.0
        for piece in pieces:
            total, own = summed(model, piece)
            value = total / own / len(pieces) if faulty else total / tokens
            value.backward()
            reported += value.item()
        optimizer.step()
        return reported

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        "predict": lambda model, ids: model(ids),
        "train_loader": padded(seed, 128),
        "valid_loader": padded(seed + 50, 40),
        "claims": {"causal": True, "pad_id": PAD, "classes": 14},
    }
