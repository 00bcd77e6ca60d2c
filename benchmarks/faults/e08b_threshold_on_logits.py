"""Logits are compared with 0.5 as if they were probabilities."""

import torch
from _training import generator, plain_step
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "E8b", "W", "evaluation"
REFERENCE = "a threshold of another scale"
EXPECT = ("evaluation",)


def tags(part, n):
    draw = generator(part)
    features = torch.randn(n, 10, generator=draw)
    rule = torch.randn(10, 5, generator=generator(3))
    return TensorDataset(features, (features @ rule > 1.0).float())


def loss(model, batch):
    return nn.functional.binary_cross_entropy_with_logits(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 5))
    threshold = 0.5 if faulty else 0.0

    def evaluate(model, loader):
        model.eval()
        both = either = 0
        with torch.no_grad():
            for features, labels in loader:
                chosen = (model(features) > threshold).float()
                both += (chosen * labels).sum().item()
                either += (chosen + labels).sum().item()
        model.train()
        return {"f1": 2 * both / max(either, 1)}

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "train_loader": DataLoader(tags(seed, 300), batch_size=32, shuffle=True),
        "valid_loader": DataLoader(tags(seed + 50, 100), batch_size=32),
        "claims": {},
    }
