"""The likelihood is minimised instead of maximised."""

import torch
from _training import cut, mlp, slope
from torch import nn
from torch.distributions import Normal

ID, TIER, CATEGORY = "L4", "B", "loss"
REFERENCE = "thedeepchecker flip_sign"
EXPECT = ("learning.step-parity", "gradient", "loss")


class GaussianHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = mlp(6, 24, 1)
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, inputs):
        return Normal(self.body(inputs).squeeze(-1), self.log_scale.exp().clamp(min=0.2))


def loss(model, batch):
    inputs, targets = batch
    return -model(inputs).log_prob(targets).mean()


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        errors = torch.cat([(model(inputs).mean - targets).abs() for inputs, targets in loader])
    model.train()
    return {"mae": errors.mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = GaussianHead()

    def step(model, optimizer, batch):
        inputs, targets = batch
        log_likelihood = model(inputs).log_prob(targets).mean()
        optimizer.zero_grad()
        if faulty:
            log_likelihood.backward()
        else:
            (-log_likelihood).backward()
        optimizer.step()
        return -log_likelihood.item()

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        "predict": lambda model, batch: model(batch[0]).mean,
        "train_loader": cut(32, *slope(seed)),
        "valid_loader": cut(32, *slope(seed + 50, n=70)),
        "claims": {},
    }
