"""A frozen base model with low-rank adapters that start as the identity."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

CLASSES, FEATURES, DIM, RANK = 3, 10, 32, 4
CONFIG = {"lr": 1e-2, "batch_size": parts.BATCH_SIZE, "rank": RANK, "alpha": 8, "base": "two layers, frozen"}


class LowRank(nn.Module):
    """A correction up(down(x)); `up` starts at zero, so that training starts from the base model."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(inputs, RANK) / inputs**0.5)
        self.up = nn.Parameter(torch.zeros(RANK, outputs))

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """The correction of one layer."""
        return x @ self.down @ self.up * (CONFIG["alpha"] / RANK)


class Adapted(nn.Module):
    """base and adapters side by side, then a new head."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.ModuleList([nn.Linear(FEATURES, DIM), nn.Linear(DIM, DIM)])
        self.adapters = nn.ModuleList([LowRank(FEATURES, DIM), LowRank(DIM, DIM)])
        self.head = nn.Linear(DIM, CLASSES)
        pretrained = torch.Generator().manual_seed(0)  # the same base under every seed, like a downloaded one
        for parameter in self.base.parameters():
            width = parameter.shape[-1]
            parameter.data = parts.normal(pretrained, *parameter.shape) / width**0.5
            parameter.requires_grad_(False)

    def forward(self, x: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch class"]:
        """Logits."""
        for layer, adapter in zip(self.base, self.adapters, strict=True):
            x = torch.tanh(layer(x) + adapter(x))
        return self.head(x)


def adapter() -> Subject:
    """Synthetic clusters in ten features; only the adapters and the head learn."""
    return Subject(
        name="toy adapter",
        model=Adapted,
        loss=_loss,
        optimizer=parts.adamw(CONFIG["lr"]),
        splits=parts.two_splits(_samples()),
        predict=_logits,
        evaluate=parts.accuracy(_logits, lambda batch: batch["label"]),
        config=CONFIG,
        claims=Claims(classes=CLASSES, parameters=1_931, target="label", frozen=("base.",)),
    )


def _samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(6)
    count = parts.TRAIN + parts.VALID
    centres = parts.normal(generator, CLASSES, FEATURES)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    features = centres[labels] + 0.6 * parts.normal(generator, count, FEATURES)
    return [{"features": x, "label": y} for x, y in zip(features, labels, strict=True)]


def _logits(model: nn.Module, batch: Any) -> Tensor:
    return model(batch["features"])


def _loss(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(_logits(model, batch), batch["label"])
