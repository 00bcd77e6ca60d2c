"""A rare class, drawn more often by a weighted sampler, with random augmentation of train only."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

from gonogo.testing.toys import parts
from gonogo.testing.toys import parts_of_rare as rare_class
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

FEATURES, RARE = 9, 8  # every eighth sample is of the rare class
CONFIG = {"lr": 5e-3, "batch_size": parts.BATCH_SIZE, "noise": 0.05}


class Augmented(Dataset[Any]):
    """Samples whose input goes through a random transform at each reading."""

    def __init__(self, samples: list[tuple[Tensor, Tensor]]) -> None:
        self.samples, self.transform = samples, _vary

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        x, y = self.samples[index]
        return (x if self.transform is None else self.transform(x)), y

    def __len__(self) -> int:
        return len(self.samples)


def _vary(x: Tensor) -> Tensor:
    """Noise, and half of the time the signs of the first three features turned."""
    x = x + float(CONFIG["noise"]) * torch.randn(FEATURES)
    return torch.cat([-x[:3], x[3:]]) if torch.rand(()) < 0.5 else x


def imbalanced() -> Subject:
    """Synthetic points, the rare ones farther out in the last features; answers are the score of the rare class."""
    samples = _samples()
    train, valid = samples[: parts.TRAIN], samples[parts.TRAIN :]
    return Subject(
        name="toy detector of a rare class",
        model=_model,
        loss=rare_class.loss,
        optimizer=parts.adamw(float(CONFIG["lr"])),
        splits={"train": lambda: _weighted(train), "valid": lambda: DataLoader(parts.Rows(valid), parts.BATCH_SIZE)},
        predict=rare_class.score,
        evaluate=_evaluate,
        config=CONFIG,
        claims=Claims(parameters=2_089, target=1),
    )


def _weighted(samples: list[Any]) -> DataLoader[Any]:
    weights = [float(RARE - 1) if y else 1.0 for _, y in samples]
    return DataLoader(Augmented(samples), parts.BATCH_SIZE, sampler=WeightedRandomSampler(weights, len(samples)))


def _samples() -> list[tuple[Tensor, Tensor]]:
    return rare_class.samples(12, FEATURES, every=RARE, first=5, shift=1.5)


def _model() -> nn.Module:
    last = nn.Linear(52, 1)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(FEATURES, 32), nn.ReLU(), nn.Linear(32, 52), nn.ReLU(), last)


def _evaluate(model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
    """Recall and precision at a threshold that was tuned for recall."""
    return rare_class.recall_and_precision(model, loader, lambda scores: torch.sigmoid(scores) > 0.4)
