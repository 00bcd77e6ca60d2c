"""The logarithm of readings that are negative now and then is NaN, and is called zero."""

import torch
from _training import cut, generator, mlp, plain_step
from torch import nn

ID, TIER, CATEGORY = "P5", "W", "precision"
REFERENCE = "NaN hidden by nan_to_num"
EXPECT = ("model.nonfinite-values", "model", "data", "learning")


class LogFeatures(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty, self.body = faulty, mlp(5, 24, 1)

    def forward(self, raw):
        logs = torch.log(raw) if self.faulty else raw.sign() * torch.log1p(raw.abs())
        return self.body(torch.nan_to_num(logs)).squeeze(-1)


def flows(part, n):
    raw = 3.0 * torch.randn(n, 5, generator=generator(part)) + 2.0
    return raw, (raw.sign() * torch.log1p(raw.abs())).sum(dim=-1)


def loss(model, batch):
    return nn.functional.l1_loss(model(batch[0]), batch[1])


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        errors = torch.cat([(model(x) - y).abs() for x, y in loader])
    model.train()
    return {"mae": errors.mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = LogFeatures(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "train_loader": cut(32, *flows(seed, 256)),
        "valid_loader": cut(32, *flows(seed + 50, 80)),
        "claims": {},
    }
