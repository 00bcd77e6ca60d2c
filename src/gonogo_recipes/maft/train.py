"""Train MAFT: `gonogo train maft`, or `train(settings, folder)`."""

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset

from gonogo.training import device as devices
from gonogo.training.seeding import seed_all
from gonogo_recipes.common import fit as fitting
from gonogo_recipes.common.fit import Data, Listener
from gonogo_recipes.common.order import EpochOrder
from gonogo_recipes.common.schedule import warmup_cosine
from gonogo_recipes.common.trainer import Trainer
from gonogo_recipes.maft.data import collate, datasets
from gonogo_recipes.maft.evaluate import evaluate
from gonogo_recipes.maft.losses import compute_loss
from gonogo_recipes.maft.model import build_model
from gonogo_recipes.maft.settings import CONFIG, Settings, load

EVALUATION_BATCH = 256
TEXT = ("encoders.text.content", "encoders.text.embedding")  # of both variants
_OF_THE_MACHINE = ("data.path", "data.num_workers")


def build(config: str | None = None, **overrides: Any) -> Callable[..., Mapping[str, Any]]:
    """The training with settings from a YAML file and dotted overrides, ready to be started in a folder.

    Raises:
        SubjectError: A setting cannot be used.
    """
    return partial(train, load(config or CONFIG, overrides))


def train(
    settings: Settings,
    folder: Path,
    *,
    resume: bool = False,
    max_steps: int | None = None,
    device: str = "auto",
    listen: Listener = lambda line, steps: None,
) -> Mapping[str, Any]:
    """Train in a folder; the metrics of the best weights on the test split, and what training took.

    Args:
        settings: All of them are kept in the checkpoint; it is not resumed with others.
        folder: See gonogo_recipes.common.fit.
        resume: Go on where the folder's checkpoint is.
        max_steps: Stop after so many updates in all; the schedule stays that of the whole run.
        device: auto, cpu, cuda, ...
        listen: Gets each line of the log, and the last update.
    """
    if settings.size != "base" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)  # operations this small wait for a second thread longer than they take
    seed_all(settings.training.seed)
    splits = datasets(settings.data)
    data = build_data(settings, splits)
    trainer = build_trainer(settings, data.steps, devices.choose(device))
    began, taken = time.monotonic(), []
    counted = partial(_told, taken, listen)
    fitting.fit(trainer, data, folder, resume=resume, max_steps=max_steps, listen=counted)
    seconds = time.monotonic() - began
    trainer.model.load_state_dict(trainer.best_weights())
    tested = evaluate(settings, trainer.model, held_out(settings, splits["test"]))
    return {
        "parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
        "updates": trainer.steps,
        "best after update": trainer.best.step,
        **{f"test {name}": value for name, value in tested.items()},
        "seconds": seconds,
        "samples per second": len(taken) * settings.training.batch_size / seconds,
    }


def build_trainer(
    settings: Settings, total: int, device: torch.device | str = "cpu", model: nn.Module | None = None
) -> Trainer:
    """Model, optimizer and schedule of a run of `total` updates, as at the first; of another model, if one is given."""
    model = (model or build_model(settings)).to(device)
    own = optimizer(settings, model)
    return Trainer(
        model=model,
        optimizer=own,
        scheduler=schedule(settings, own, total),
        loss=lambda model, batch: compute_loss(settings, model(batch), batch),
        metrics=partial(evaluate, settings),
        watched="loss",
        max_norm=settings.training.max_norm,
        identity=identity(settings),
    )


def optimizer(settings: Settings, model: nn.Module) -> Optimizer:
    """AdamW; biases, norms and other vectors do not decay, and the text embedding may have a rate of its own."""
    own = settings.training
    text_rate = own.learning_rate if own.text_learning_rate is None else own.text_learning_rate
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = text_rate if name.startswith(TEXT) else own.learning_rate
            groups.setdefault((rate, own.weight_decay if parameter.dim() > 1 else 0.0), []).append(parameter)
    return AdamW([{"params": held, "lr": rate, "weight_decay": decay} for (rate, decay), held in groups.items()])


def schedule(settings: Settings, optimizer: Optimizer, total: int) -> LRScheduler:
    """Warm-up, then cosine to 0 at `total` updates; stepped once per update."""
    return warmup_cosine(optimizer, total, round(settings.training.warmup_ratio * total))


def build_data(settings: Settings, splits: Mapping[str, Dataset[Any]]) -> Data:
    """The training split in an order of its own for each epoch, and the validation split."""
    train, size = splits["train"], settings.training.batch_size
    order = EpochOrder(len(train), settings.training.seed)  # type: ignore[arg-type]
    loader = _loader(settings, train, size, order)
    return Data(loader, order, lambda: held_out(settings, splits["valid"]), size, settings.training.epochs)


def held_out(settings: Settings, split: Dataset[Any]) -> DataLoader[Any]:
    """All of a split in its order."""
    return _loader(settings, split, EVALUATION_BATCH, None)


def _loader(settings: Settings, split: Dataset[Any], size: int, order: EpochOrder | None) -> DataLoader[Any]:
    # A generator of its own: how often a loader is started must not move the generators that training draws from.
    draw = torch.Generator().manual_seed(settings.data.seed)
    workers = settings.data.num_workers
    return DataLoader(split, size, sampler=order, num_workers=workers, collate_fn=collate, generator=draw)


def identity(settings: Settings) -> dict[str, Any]:
    """The settings by dotted path that a resumed training must share; where its data lie may change."""
    content = settings.model_dump(mode="json")
    sections = {
        f"{name}.{key}": value for name in ("model", "training", "data") for key, value in content[name].items()
    }
    return {key: value for key, value in sections.items() if key not in _OF_THE_MACHINE}


def _told(taken: list[int], listen: Listener, line: Mapping[str, Any], end: int) -> None:
    if "loss" in line:
        taken.append(line["step"])
    listen(line, end)
