"""A variational autoencoder that draws its latent in evaluation too, and says so."""

import torch
import torch.nn.functional as F
from _data import blobs, halves, mean_of, step_on
from torch import nn


class VAE(nn.Module):
    def __init__(self, latent=3):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(10, 32), nn.ELU())
        self.decoder = nn.Sequential(nn.Linear(latent, 32), nn.ELU())
        self.mean, self.log_variance, self.out = nn.Linear(32, latent), nn.Linear(32, latent), nn.Linear(32, 10)

    def forward(self, x):
        h = self.encoder(x)
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.out(self.decoder(z)), mean, log_variance


def loss(model, batch):
    (x,) = batch
    back, mean, log_variance = model(x)
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1).mean()
    return F.mse_loss(back, x, reduction="none").sum(1).mean() + 0.1 * divergence


def build(seed: int = 0):
    torch.manual_seed(seed)
    model = VAE()
    x, _ = blobs()
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        **halves(x),
        "claims": {"stochastic": True},
    }
