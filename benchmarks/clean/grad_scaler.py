"""Mixed precision with a scaler whose first scale is far too large: it skips until it fits."""

import torch
import torch.nn.functional as F
from _data import blobs, halves, mean_of
from torch import nn


def build(seed: int = 0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(10, 48), nn.ReLU(), nn.Linear(48, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**126)

    def loss(model, batch):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(batch[0])
        return F.cross_entropy(logits.float(), batch[1])

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        scaler.scale(value).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return value.item()

    return {
        "model": model,
        "optimizer": optimizer,
        "scaler": scaler,
        "loss": loss,
        "step": step,
        "evaluate": mean_of(loss),
        **halves(*blobs()),
        "claims": {"classes": 3, "precision": "bf16", "max_norm": 1.0},
    }
