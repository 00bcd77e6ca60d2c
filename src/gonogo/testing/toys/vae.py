"""A variational autoencoder: no target, random in training, deterministic in evaluation."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

PIXELS, LATENT, HIDDEN = 96, 4, 64
CONFIG = {"lr": 1e-2, "batch_size": parts.BATCH_SIZE, "latent": LATENT, "beta": 1.0}


class Autoencoder(nn.Module):
    """Encoder to a normal distribution, decoder to logits of pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, 2 * LATENT))
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, PIXELS))

    def forward(
        self, x: Float[Tensor, "batch pixel"]
    ) -> tuple[Float[Tensor, "batch pixel"], Float[Tensor, "batch latent"], Float[Tensor, "batch latent"]]:
        """Logits of the pixels, and mean and log variance of the code; evaluation takes the mean as the code."""
        mean, log_variance = self.encoder(x).chunk(2, -1)
        code = mean
        if self.training:
            code = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return self.decoder(code), mean, log_variance


def vae() -> Subject:
    """Synthetic binary pictures: six bars, each on or off, with three pixels in a hundred flipped.

    The loss of one batch cannot reach zero: naming one of 16 pictures costs ln 16 = 2.8 nats, of 67 at the start.
    """
    return Subject(
        name="toy variational autoencoder",
        model=Autoencoder,
        loss=_loss,
        optimizer=parts.adamw(CONFIG["lr"]),
        splits=parts.two_splits(_samples()),
        predict=lambda model, batch: model(batch["pixels"])[0],
        config=CONFIG,
        claims=Claims(parameters=13_288),
    )


def _samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(7)
    count = parts.TRAIN + parts.VALID
    bars = torch.randint(2, (2 * count, 6), generator=generator)
    flips = torch.rand(2 * count, PIXELS, generator=generator) < 0.03
    pictures = torch.unique(bars.repeat_interleave(PIXELS // 6, 1).bool() ^ flips, dim=0)
    chosen = pictures[torch.randperm(len(pictures), generator=generator)[:count]]
    return [{"pixels": picture.float()} for picture in chosen]


def _loss(model: nn.Module, batch: Any) -> Tensor:
    logits, mean, log_variance = model(batch["pixels"])
    picture = functional.binary_cross_entropy_with_logits(logits, batch["pixels"], reduction="none").sum(-1)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1)
    return (picture + CONFIG["beta"] * divergence).mean()
