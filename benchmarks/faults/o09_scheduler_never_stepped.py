"""A warm-up and a cosine are built, and nobody advances them."""

import math

import torch
import torch.nn.functional as F
from _training import TinyGPT, chains, next_token

ID, TIER, CATEGORY = "O9", "B", "optimizer"
REFERENCE = "a scheduler that is never stepped"
EXPECT = ("optimizer.schedule",)
WARMUP, TOTAL = 8, 60


def factor(step):
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - WARMUP) / (TOTAL - WARMUP))))


def loss(model, ids):
    return F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = TinyGPT()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

    def step(model, optimizer, ids):
        value = loss(model, ids)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if not faulty:
            scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        return value.item()

    def save(path):
        torch.save([model.state_dict(), optimizer.state_dict(), scheduler.state_dict()], path)

    def load(path):
        for part, state in zip((model, optimizer, scheduler), torch.load(path), strict=True):
            part.load_state_dict(state)

    return {
        "model": model,
        "optimizer": optimizer,
        "scheduler": scheduler,
        "loss": loss,
        "step": step,
        "evaluate": next_token,
        "predict": lambda model, ids: model(ids),
        "save": save,
        "load": load,
        "train_loader": list(chains(seed).split(16)),
        "valid_loader": list(chains(seed + 50, n=40).split(16)),
        "claims": {"causal": True, "final_lr": 0.0, "total_steps": TOTAL, "max_norm": 1.0, "classes": 14},
    }
