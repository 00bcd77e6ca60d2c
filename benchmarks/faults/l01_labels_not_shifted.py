"""A language model is trained to repeat the token that it sees."""

import torch
import torch.nn.functional as F
from _training import TinyGPT, chains, next_token, plain_step
from torch.utils.data import DataLoader

ID, TIER, CATEGORY = "L1", "B", "loss"
REFERENCE = "Hugging Face causal language models shift inside; hand-written losses often do not"
EXPECT = ("sequence.label-alignment",)


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = TinyGPT()

    def loss(model, batch):
        ids = batch["input_ids"]
        logits = model(ids)
        if faulty:
            return F.cross_entropy(logits.transpose(1, 2), ids)
        return F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:])

    rows = [{"input_ids": row} for row in chains(seed)]
    held_out = [{"input_ids": row} for row in chains(seed + 50, n=40)]
    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": next_token,
        "predict": lambda model, batch: model(batch["input_ids"]),
        "train_loader": DataLoader(rows, batch_size=16, shuffle=True),
        "valid_loader": DataLoader(held_out, batch_size=16),
        "claims": {"causal": True, "classes": 14},
    }
