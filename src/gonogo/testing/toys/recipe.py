"""A full training recipe as a dict program: accumulation, loss scaling, clipping, warm-up, averaged weights, resume."""

import copy
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from gonogo.adapters.plain import from_parts
from gonogo.testing.toys import parts
from gonogo.training.subject import Subject

CLASSES, FEATURES, WINDOW, UPDATES, WARM_UP, FINAL = 3, 10, 2, 60, 6, 1e-4
CONFIG = {"lr": 5e-3, "batch_size": parts.BATCH_SIZE, "accumulation": WINDOW, "max_norm": 1.0, "ema_decay": 0.9}
CLAIMS = {"classes": CLASSES, "target": "label", "parameters": 451, "accumulation": WINDOW, "resume": "exact"}
CLAIMS |= {"max_norm": CONFIG["max_norm"], "total_steps": UPDATES, "final_lr": FINAL}


def recipe() -> Subject:
    """Synthetic clusters in ten features; two batches make one update, a warm-up comes before the cosine."""
    return from_parts(build(), build, "toy recipe")


class Average:
    """Averaged weights that evaluation borrows."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.shadow = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Follow the weights."""
        for name, value in model.state_dict().items():
            self.shadow[name].lerp_(value, 1 - self.decay)


def build() -> dict[str, Any]:
    """All parts of one run, live."""
    head = nn.Linear(32, CLASSES)
    nn.init.normal_(head.weight, std=0.01)
    model = nn.Sequential(nn.Linear(FEATURES, 32), nn.GELU(), nn.Dropout(0.1), head)
    optimizer = AdamW(model.parameters(), lr=float(CONFIG["lr"]), weight_decay=1e-4)
    scheduler = LambdaLR(optimizer, _rate)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    run = _Run(model, optimizer, scheduler, scaler)
    train, valid = _splits()
    return {
        "model": model,
        "optimizer": optimizer,
        "scheduler": scheduler,
        "scaler": scaler,
        "ema": run.ema,
        "loss": _loss,
        "step": run.step,
        "evaluate": run.evaluate,
        "best": lambda: run.best,
        "save": run.save,
        "load": run.load,
        "train_loader": DataLoader(parts.Rows(train), parts.BATCH_SIZE, shuffle=True, drop_last=True),
        "valid_loader": DataLoader(parts.Rows(valid), parts.BATCH_SIZE),
        "predict": lambda model, batch: model(batch["features"]),
        "config": CONFIG,
        "claims": CLAIMS,
    }


class _Run:
    def __init__(self, model: nn.Module, optimizer: AdamW, scheduler: LambdaLR, scaler: Any) -> None:
        self.model, self.optimizer, self.scheduler, self.scaler = model, optimizer, scheduler, scaler
        self.ema = Average(model, float(CONFIG["ema_decay"]))
        self.calls = 0
        self.best_value, self.best = -math.inf, copy.deepcopy(model.state_dict())

    def step(self, model: nn.Module, optimizer: Any, batch: Any) -> float:
        model.train()
        loss = _loss(model, batch)
        self.scaler.scale(loss / WINDOW).backward()
        self.calls += 1
        if self.calls % WINDOW == 0:
            self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), float(CONFIG["max_norm"]))
            self.scaler.step(optimizer)
            self.scaler.update()
            optimizer.zero_grad(set_to_none=True)
            self.scheduler.step()
            self.ema.update(model)
        return float(loss.detach())

    def evaluate(self, model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
        raw = copy.deepcopy(model.state_dict())
        model.load_state_dict(self.ema.shadow)
        found = _ACCURACY(model, loader)
        if found["accuracy"] > self.best_value:
            self.best_value, self.best = found["accuracy"], copy.deepcopy(model.state_dict())
        model.load_state_dict(raw)
        return found

    def save(self, path: Path) -> None:
        stateful = {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler}
        state = {name: part.state_dict() for name, part in stateful.items()}
        more = {"scaler": self.scaler.state_dict(), "ema": self.ema.shadow, "calls": self.calls}
        torch.save({**state, **more, "random": torch.get_rng_state()}, path)

    def load(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.scaler.load_state_dict(state["scaler"])
        self.ema.shadow, self.calls = state["ema"], state["calls"]
        torch.set_rng_state(state["random"])  # dropout goes on where it was


def _rate(update: int) -> float:
    if update < WARM_UP:
        return update / WARM_UP
    done = min((update - WARM_UP) / (UPDATES - WARM_UP), 1.0)
    low = FINAL / float(CONFIG["lr"])
    return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done))


def _loss(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(model(batch["features"]), batch["label"])


_ACCURACY = parts.accuracy(lambda model, batch: model(batch["features"]), lambda batch: batch["label"])


def _splits() -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]]:
    generator = torch.Generator().manual_seed(9)
    count = parts.TRAIN + parts.VALID
    centres = 1.5 * parts.normal(generator, CLASSES, FEATURES)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    features = centres[labels] + 0.6 * parts.normal(generator, count, FEATURES)
    rows = [{"features": x, "label": y} for x, y in zip(features, labels, strict=True)]
    return rows[: parts.TRAIN], rows[parts.TRAIN :]
