"""Logits are rounded to three digits before their cross-entropy."""

import torch
import torch.nn.functional as F
from _training import TinyGPT, chains, next_token, plain_step

ID, TIER, CATEGORY = "P4", "W", "precision"
REFERENCE = "huggingface/transformers#29285"
EXPECT = ("model", "learning")


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = TinyGPT()

    def loss(model, ids):
        logits = model(ids)[:, :-1]
        if faulty:
            logits = logits.bfloat16()
        return F.cross_entropy(logits.transpose(1, 2), ids[:, 1:]).float()

    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=4e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": next_token,
        "predict": lambda model, ids: model(ids),
        "train_loader": list(chains(seed).split(16)),
        "valid_loader": list(chains(seed + 50, n=40).split(16)),
        "claims": {"causal": True, "classes": 14},
    }
