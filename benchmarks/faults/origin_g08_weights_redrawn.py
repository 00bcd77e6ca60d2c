"""The mixing weights of the tokens are drawn anew at each forward."""

import torch
from _training import generator, plain_step
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "G-8", "W", "origins"
REFERENCE = "Astro: softmax(randn(4)) in the forward"
EXPECT = ("evaluation", "reproducibility", "model")


class Mixer(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.weights = nn.Parameter(torch.zeros(4))
        self.body = nn.Sequential(nn.Linear(5, 24), nn.ReLU(), nn.Linear(24, 1))

    def forward(self, tokens):
        weights = torch.randn(4) + self.weights if self.faulty else self.weights
        return self.body((weights.softmax(0)[:, None] * tokens).sum(1)).squeeze(-1)


def molecules(part, n):
    tokens = torch.randn(n, 4, 5, generator=generator(part))
    return TensorDataset(tokens, tokens[:, :2].mean(1).sum(-1))


def loss(model, batch):
    return nn.functional.mse_loss(model(batch[0]), batch[1])


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        errors = torch.cat([model(x) - y for x, y in loader])
    model.train()
    return {"mse": errors.square().mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Mixer(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "train_loader": DataLoader(molecules(seed, 200), batch_size=20, shuffle=True),
        "valid_loader": DataLoader(molecules(seed + 50, 60), batch_size=20),
        "claims": {},
    }
