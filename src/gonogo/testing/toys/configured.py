"""A classifier that is built from its configuration alone: each key does something."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

CLASSES, FEATURES = 3, 8
CONFIG: dict[str, Any] = {
    "model": {"hidden": 32, "dropout": 0.1, "use_norm": True},
    "optimizer": {"lr": 5e-3, "weight_decay": 0.01, "betas": [0.9, 0.99], "max_norm": 5.0},
    "data": {"batch_size": parts.BATCH_SIZE},
    "label_smoothing": 0.0,
    "epochs": 10,
}


def configured(config: Mapping[str, Any] = CONFIG) -> Subject:
    """Synthetic clusters in eight features; the subject of any other configuration is one call away."""
    train, valid = parts.Rows(_samples()[: parts.TRAIN]), parts.Rows(_samples()[parts.TRAIN :])
    size = config["data"]["batch_size"]
    return Subject(
        name="toy classifier with a configuration",
        model=lambda: _model(config["model"]),
        loss=_loss(config["label_smoothing"]),
        optimizer=lambda model: _optimizer(model, config["optimizer"]),
        splits={
            "train": lambda: DataLoader(train, size, shuffle=True),
            "valid": lambda: DataLoader(valid, size),
        },
        predict=_logits,
        step=_step(_loss(config["label_smoothing"]), config["optimizer"]["max_norm"]),
        evaluate=parts.accuracy(_logits, lambda batch: batch["label"]),
        config=config,
        claims=Claims(classes=CLASSES, target="label", parameters=451 if config == CONFIG else None),
        with_config=configured,
    )


def _samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(11)
    count = parts.TRAIN + parts.VALID
    centres = 1.5 * parts.normal(generator, CLASSES, FEATURES)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    features = centres[labels] + 0.6 * parts.normal(generator, count, FEATURES)
    return [{"features": x, "label": y} for x, y in zip(features, labels, strict=True)]


def _model(config: Mapping[str, Any]) -> nn.Module:
    hidden = config["hidden"]
    norm = [nn.LayerNorm(hidden)] if config["use_norm"] else []
    drop = nn.Dropout(config["dropout"])
    return nn.Sequential(nn.Linear(FEATURES, hidden), *norm, nn.GELU(), drop, nn.Linear(hidden, CLASSES))


def _optimizer(model: nn.Module, config: Mapping[str, Any]) -> Optimizer:
    betas = (config["betas"][0], config["betas"][1])
    return AdamW(model.parameters(), lr=config["lr"], weight_decay=config["weight_decay"], betas=betas)


def _logits(model: nn.Module, batch: Any) -> Tensor:
    return model(batch["features"])


def _loss(smoothing: float) -> Any:
    def loss(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(_logits(model, batch), batch["label"], label_smoothing=smoothing)

    return loss


def _step(loss: Any, max_norm: float) -> Any:
    def step(model: nn.Module, optimizer: Optimizer, batch: Any) -> float:
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        return float(value.detach())

    return step
