"""The root of a sum that is zero has an infinite slope: the scaler finds it and skips every step."""

import torch
from _training import blobs, classify, mlp
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "O20", "B", "optimizer"
REFERENCE = "a loss scaler that skips every step"
EXPECT = ("model.nonfinite-values", "optimizer.steps", "gradient")


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    tiny = 0.0 if faulty else 1e-6
    model = mlp(8, 32, 4)
    nn.init.zeros_(model[-1].bias)

    def loss(model, batch):
        norms = [torch.sqrt(weight.square().sum() + tiny) for weight in model.parameters()]
        return nn.functional.cross_entropy(model(batch[0]), batch[1]) + 1e-4 * sum(norms)

    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        scaler.scale(value).backward()
        scaler.step(optimizer)
        scaler.update()
        return value.item()

    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=4e-3),
        "scaler": scaler,
        "loss": loss,
        "step": step,
        "evaluate": classify,
        "train_loader": DataLoader(TensorDataset(*blobs(seed)), batch_size=30, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*blobs(seed + 50, n=70)), batch_size=30),
        "claims": {"classes": 4},
    }
