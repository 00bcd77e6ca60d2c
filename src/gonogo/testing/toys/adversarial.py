"""A generator and a discriminator with an optimizer each, as a dict program."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam

from gonogo.adapters.plain import from_parts
from gonogo.testing.toys import parts
from gonogo.training.subject import Subject

NOISE, POINT = 4, 2
CONFIG = {"lr": 2e-3, "batch_size": parts.BATCH_SIZE, "noise": NOISE}


def adversarial() -> Subject:
    """Synthetic points on a ring; the discriminator steps first, then the generator, through the new discriminator."""
    return from_parts(build(), build, "toy adversarial pair")


class Pair(nn.Module):
    """Both players."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(NOISE, 32), nn.LeakyReLU(0.2), nn.Linear(32, POINT))
        self.discriminator = nn.Sequential(nn.Linear(POINT, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))

    def forward(self, points: Tensor) -> Tensor:
        """Logit of each point being real."""
        return self.discriminator(points).squeeze(-1)


def build() -> dict[str, Any]:
    """All parts of one run, live."""
    model = Pair()
    optimizers = tuple(
        Adam(player.parameters(), lr=float(CONFIG["lr"]), betas=(0.5, 0.9))
        for player in (model.generator, model.discriminator)
    )
    loaders = parts.two_splits(_points())
    return {
        "model": model,
        "optimizer": optimizers,
        "loss": _loss,
        "step": _step,
        "train_loader": loaders["train"](),
        "valid_loader": loaders["valid"](),
        "predict": lambda model, batch: model(batch["point"]),
        "config": CONFIG,
        "claims": {"parameters": 355},
    }


def _loss(model: Any, batch: Any) -> Tensor:
    """Both players' losses, for watching."""
    return _of_discriminator(model, batch["point"]) + _of_generator(model, len(batch["point"]))


def _step(model: Any, optimizers: Any, batch: Any) -> float:
    model.train()
    losses = []
    for optimizer, loss_of in zip(reversed(optimizers), (_discriminate, _generate), strict=True):
        losses.append(loss_of(model, batch))
        optimizer.zero_grad()  # the generator's loss leaves gradients in the discriminator, which clears them here
        losses[-1].backward()
        optimizer.step()
    return float(losses[-1].detach())


def _discriminate(model: Any, batch: Any) -> Tensor:
    return _of_discriminator(model, batch["point"])


def _generate(model: Any, batch: Any) -> Tensor:
    return _of_generator(model, len(batch["point"]))


def _of_discriminator(model: Any, real: Tensor) -> Tensor:
    fake = model.generator(torch.randn(len(real), NOISE)).detach()
    return functional.softplus(-model(real)).mean() + functional.softplus(model(fake)).mean()


def _of_generator(model: Any, count: int) -> Tensor:
    return functional.softplus(-model(model.generator(torch.randn(count, NOISE)))).mean()


def _points() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(10)
    angles = 6.2832 * torch.rand(parts.TRAIN + parts.VALID, generator=generator)
    points = torch.stack([angles.cos(), angles.sin()], -1) + 0.05 * parts.normal(generator, len(angles), POINT)
    return [{"point": point} for point in points]
