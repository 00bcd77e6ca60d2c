"""A classifier with smoothed labels and weighted classes, whose loss cannot go to zero."""

from typing import Any

import torch
from torch import Tensor, nn

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

CLASSES, FEATURES, DIM = 8, 12, 48
CONFIG = {"lr": 5e-3, "batch_size": parts.BATCH_SIZE, "label_smoothing": 0.05}


def smoothed() -> Subject:
    """Synthetic clusters, one per class; each next class is a little rarer than the one before."""
    samples = _samples()
    counts = torch.bincount(torch.stack([sample["label"] for sample in samples[: parts.TRAIN]]), minlength=CLASSES)
    weight = len(samples[: parts.TRAIN]) / CLASSES / counts
    criterion = nn.CrossEntropyLoss(weight=weight, label_smoothing=float(CONFIG["label_smoothing"]))

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return criterion(_logits(model, batch), batch["label"])

    return Subject(
        name="toy classifier with smoothed labels",
        model=_model,
        loss=loss,
        optimizer=parts.adamw(float(CONFIG["lr"])),
        splits=parts.two_splits(samples),
        predict=_logits,
        step=parts.own_step(loss),
        evaluate=parts.accuracy(_logits, lambda batch: batch["label"]),
        config=CONFIG,
        claims=Claims(classes=CLASSES, parameters=1_016, target="label"),
    )


def _samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(16)
    count = parts.TRAIN + parts.VALID
    centres = 1.5 * parts.normal(generator, CLASSES, FEATURES)
    frequency = 0.85 ** torch.arange(CLASSES)
    labels = torch.multinomial(frequency, count, replacement=True, generator=generator)
    features = centres[labels] + 0.5 * parts.normal(generator, count, FEATURES)
    return [{"features": x, "label": y} for x, y in zip(features, labels, strict=True)]


def _model() -> nn.Module:
    head = nn.Linear(DIM, CLASSES)
    nn.init.normal_(head.weight, std=0.05)
    nn.init.zeros_(head.bias)
    return nn.Sequential(nn.Linear(FEATURES, DIM), nn.SiLU(), nn.Dropout(0.05), head)


def _logits(model: nn.Module, batch: Any) -> Tensor:
    return model(batch["features"])
