"""Half precision with a loss scale that is far too large at first: the first steps are skipped until it fits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW

from gonogo.adapters.plain import from_parts
from gonogo.testing.toys import parts
from gonogo.training.subject import Subject

CLASSES, FEATURES = 3, 10
CONFIG = {"lr": 5e-3, "batch_size": parts.BATCH_SIZE, "max_norm": 1.0}


def loss_scale() -> Subject:
    """Synthetic clusters in ten features."""
    return from_parts(build(), build, "toy with a loss scale")


def build() -> dict[str, Any]:
    """All parts of one run, live."""
    head = nn.Linear(48, CLASSES)
    nn.init.normal_(head.weight, std=0.05)
    model = nn.Sequential(nn.Linear(FEATURES, 48), nn.GELU(), head)
    optimizer = AdamW(model.parameters(), lr=float(CONFIG["lr"]), weight_decay=0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**22)
    loaders = parts.two_splits(_samples())

    save, load = _checkpoint(model, optimizer, scaler)
    return {
        "model": model,
        "optimizer": optimizer,
        "scaler": scaler,
        "loss": _loss,
        "step": _stepping(scaler),
        "evaluate": parts.accuracy(_logits, lambda batch: batch["label"]),
        "save": save,
        "load": load,
        "train_loader": loaders["train"](),
        "valid_loader": loaders["valid"](),
        "predict": _logits,
        "config": CONFIG,
        "claims": {"classes": CLASSES, "target": "label", "parameters": 675, "precision": "fp16", "max_norm": 1.0},
    }


def _stepping(scaler: Any) -> Callable[[nn.Module, Any, Any], float]:
    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        model.train()
        optimizer.zero_grad()
        loss = _loss(model, batch)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), float(CONFIG["max_norm"]))
        scaler.step(optimizer)
        scaler.update()
        return float(loss.detach())

    return step


def _checkpoint(*stateful: Any) -> tuple[Callable[[Path], None], Callable[[Path], None]]:
    def save(path: Path) -> None:
        torch.save([part.state_dict() for part in stateful], path)

    def load(path: Path) -> None:
        for part, state in zip(stateful, torch.load(path, weights_only=True), strict=True):
            part.load_state_dict(state)

    return save, load


def _samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(18)
    count = parts.TRAIN + parts.VALID
    centres = 1.5 * parts.normal(generator, CLASSES, FEATURES)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    features = centres[labels] + 0.6 * parts.normal(generator, count, FEATURES)
    return [{"features": x, "label": y} for x, y in zip(features, labels, strict=True)]


def _logits(model: nn.Module, batch: Any) -> Tensor:
    return model(batch["features"])


def _loss(model: nn.Module, batch: Any) -> Tensor:
    with torch.autocast("cpu", dtype=torch.float16):
        logits = _logits(model, batch)
    return functional.cross_entropy(logits.float(), batch["label"])
