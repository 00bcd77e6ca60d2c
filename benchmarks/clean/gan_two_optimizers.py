"""A generator and a discriminator with an optimizer each; the reported loss is the discriminator's."""

import torch
import torch.nn.functional as F
from _data import halves
from torch import nn


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(4, 24), nn.LeakyReLU(0.2), nn.Linear(24, 2))
        self.discriminator = nn.Sequential(nn.Linear(2, 24), nn.LeakyReLU(0.2), nn.Linear(24, 1))

    def forward(self, x):
        return self.discriminator(x)


def judged(model, points, real):
    scores = model.discriminator(points)
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, float(real)))


def loss(model, batch):
    (real,) = batch
    fake = model.generator(torch.randn(len(real), 4))
    return judged(model, real, True) + judged(model, fake.detach(), False)


def step(model, optimizers, batch):
    generator, discriminator = optimizers
    discriminator.zero_grad()
    value = loss(model, batch)
    value.backward()
    discriminator.step()
    generator.zero_grad()
    judged(model, model.generator(torch.randn(len(batch[0]), 4)), True).backward()
    generator.step()
    return value.item()


@torch.no_grad()
def evaluate(model, loader):
    was = model.training
    model.eval()
    scores = torch.cat([model(real) for (real,) in loader])
    model.train(was)
    return {"real_score": scores.mean().item()}


def build(seed: int = 0):
    torch.manual_seed(seed)
    model = Pair()
    angle = 6.3 * torch.rand(300)
    ring = torch.stack([2 * angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(300, 2)
    parts = model.generator, model.discriminator
    optimizers = tuple(torch.optim.Adam(part.parameters(), lr=2e-3, betas=(0.5, 0.9)) for part in parts)
    return {
        "model": model,
        "optimizer": optimizers,
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        **halves(ring),
        "claims": {"stochastic": True},
    }
