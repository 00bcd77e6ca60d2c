"""Residual blocks that are dropped at random in training: one as a whole, one for single samples."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

CLASSES, FEATURES, DIM = 4, 10, 32
CONFIG = {"lr": 3e-3, "batch_size": parts.BATCH_SIZE, "keep": [0.8, 0.6]}


class Block(nn.Module):
    """A residual block; in training its branch is kept with a probability, and made larger where it is kept."""

    def __init__(self, keep: float, by_row: bool) -> None:
        super().__init__()
        self.keep, self.by_row = keep, by_row
        self.branch = nn.Sequential(nn.LayerNorm(DIM), nn.Linear(DIM, DIM), nn.GELU(), nn.Linear(DIM, DIM))

    def forward(self, x: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """`x` and its branch, or `x` alone."""
        if not self.training:
            return x + self.branch(x)
        if self.by_row:
            kept = (torch.rand(len(x), 1, device=x.device) < self.keep).to(x.dtype)
            return x + kept / self.keep * self.branch(x)
        # A skipped block is not computed: its parameters get no gradient at all in this step.
        return x + self.branch(x) / self.keep if torch.rand(()) < self.keep else x


def stochastic_depth() -> Subject:
    """Synthetic clusters in ten features."""
    return Subject(
        name="toy network of stochastic depth",
        model=_model,
        loss=_loss,
        optimizer=parts.adamw(3e-3),
        splits=parts.two_splits(_samples()),
        predict=_logits,
        step=parts.own_step(_loss),
        evaluate=parts.accuracy(_logits, lambda batch: batch["label"]),
        config=CONFIG,
        claims=Claims(classes=CLASSES, parameters=4_836, target="label"),
    )


def _samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(15)
    count = parts.TRAIN + parts.VALID
    centres = 1.5 * parts.normal(generator, CLASSES, FEATURES)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    features = centres[labels] + 0.6 * parts.normal(generator, count, FEATURES)
    return [{"features": x, "label": y} for x, y in zip(features, labels, strict=True)]


def _model() -> nn.Module:
    head = nn.Linear(DIM, CLASSES)
    nn.init.normal_(head.weight, std=0.02)
    return nn.Sequential(nn.Linear(FEATURES, DIM), Block(0.8, by_row=False), Block(0.6, by_row=True), head)


def _logits(model: nn.Module, batch: Any) -> Tensor:
    return model(batch["features"])


def _loss(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(_logits(model, batch), batch["label"])
