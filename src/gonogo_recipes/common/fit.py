"""The training loop: killed at any moment, it goes on to the same bits."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from gonogo.errors import SubjectError
from gonogo.training import batch as nested
from gonogo.training.seeding import deterministic
from gonogo_recipes.common import checkpoint
from gonogo_recipes.common.order import EpochOrder
from gonogo_recipes.common.step_log import StepLog
from gonogo_recipes.common.trainer import Trainer

CHECKPOINT, LOG, WEIGHTS = "checkpoint.pt", "log.jsonl", "best.pt"
EVERY = 100  # updates between two checkpoints within an epoch
Listener = Callable[[Mapping[str, Any], int], None]


@dataclass(frozen=True)
class Data:
    """What is trained on.

    Attributes:
        train: The loader; its sampler is `order`.
        order: Where each epoch begins.
        valid: Builds the batches of one validation.
        batch_size: Samples of a full training batch.
        epochs: Passes over `train`.
    """

    train: Any
    order: EpochOrder
    valid: Callable[[], Iterable[Any]]
    batch_size: int
    epochs: int

    @property
    def steps(self) -> int:
        """Updates of the whole run."""
        return self.epochs * len(self.train)


def fit(
    trainer: Trainer,
    data: Data,
    folder: Path,
    *,
    resume: bool = False,
    max_steps: int | None = None,
    listen: Listener = lambda line, steps: None,
) -> None:
    """Train to the end, or to `max_steps` updates in all; checkpoint after each epoch, and within long ones.

    Args:
        trainer: New, as at the first update; it is left as after the last.
        data: What is trained on.
        folder: Gets the checkpoint, the best weights, and the log: one line for each update and each validation.
        resume: Go on where the checkpoint in the folder is; begin where there is none yet.
        max_steps: None for all.
        listen: Gets each line of the log, and the update that is the last.

    Raises:
        SubjectError: There is another training in the folder, or the loss is not finite any more.
    """
    _begin(trainer, folder, resume)
    end = data.steps if max_steps is None else min(max_steps, data.steps)
    with deterministic(), StepLog(folder / LOG, trainer.steps) as log:
        listen({"step": trainer.steps}, end)
        run = _Run(trainer, data, folder / CHECKPOINT, log, end, lambda line: listen(line, end))
        while trainer.steps < end:
            run.epoch()
    best = {"weights": dict(trainer.best_weights()), "step": trainer.best.step}
    checkpoint.write(folder / WEIGHTS, best)


def _begin(trainer: Trainer, folder: Path, resume: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CHECKPOINT
    if not path.exists():  # new, or killed before its first checkpoint: the first update is the same one
        return
    if not resume:
        raise SubjectError(f"{folder} holds a training already; go on with --resume, or give another folder with --out")
    content = checkpoint.read(path, trainer.device)
    _refuse_other(content.get("identity", {}), trainer.identity, path)
    torch.set_num_threads(content["threads"])  # sums over other numbers of threads have other last bits
    trainer.restore(content)


def _refuse_other(then: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    for key in sorted({*then, *now}):
        if then.get(key) != now.get(key):
            raise SubjectError(
                f"{path}: {key} was {then.get(key)!r} when this training began and is {now.get(key)!r} now; "
                f"give {key}={then.get(key)} to go on, or another folder with --out to begin anew"
            )


@dataclass(frozen=True)
class _Run:
    trainer: Trainer
    data: Data
    checkpoint: Path
    log: StepLog
    end: int
    listen: Callable[[Mapping[str, Any]], None]

    def epoch(self) -> None:
        """The rest of the epoch that the trainer is in."""
        epoch, done = divmod(self.trainer.steps, len(self.data.train))
        self.data.order.go_to(epoch, done * self.data.batch_size)
        began, drawn = time.monotonic(), checkpoint.generators()
        batches = iter(self.data.train)
        if done:  # a loader may draw a seed when an epoch begins; this one began before the checkpoint
            checkpoint.restore_generators(drawn)
        for batch in batches:
            self.update(batch, epoch + 1, began)
            self.after_update(epoch + 1)
            began = time.monotonic()
            if self.trainer.steps == self.end:
                return

    def update(self, batch: Any, epoch: int, began: float) -> None:
        """One update and its line; `seconds` has the reading of the batch in it."""
        trainer = self.trainer
        trainer.step(trainer.model, trainer.optimizer, nested.to(batch, trainer.device))
        line = {"step": trainer.steps, "epoch": epoch, **trainer.last, "memory": memory(trainer.device)}
        self.say({**line, "seconds": time.monotonic() - began})
        if not trainer.is_finite:
            raise SubjectError(_diverged(trainer))

    def after_update(self, epoch: int) -> None:
        """Validation at the end of an epoch, and the checkpoint when it is time."""
        trainer = self.trainer
        whole = trainer.steps % len(self.data.train) == 0
        if whole:
            found = trainer.validate(trainer.model, self.data.valid())
            self.say({"step": trainer.steps, "epoch": epoch, "valid": dict(found)})
        if whole or trainer.steps % EVERY == 0 or trainer.steps == self.end:
            self.log.to_disk()
            trainer.save(self.checkpoint)

    def say(self, line: Mapping[str, Any]) -> None:
        self.log.add(line)
        self.listen(line)


def _diverged(trainer: Trainer) -> str:
    values = ", ".join(f"{name} {value:g}" for name, value in trainer.last.items())
    return (
        f"update {trainer.steps}: the loss or its gradient is not finite ({values}); the last checkpoint is from "
        "before. Lower the learning rate, or look for values in the data that are not finite"
    )


def memory(device: torch.device) -> int:
    """Bytes: the peak of tensors on an accelerator, or what the process holds now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return psutil.Process().memory_info().rss
