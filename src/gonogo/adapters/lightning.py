"""A LightningModule, with its DataModule or loaders and Trainer -> the dict of its live parts.

Their own hooks run in Lightning's order (training_step, backward, clipping, optimizer_step, schedulers); the loop
around them is ours, so callbacks and loggers of the Trainer stay silent. Nothing here imports Lightning before it has
seen one of its objects.
"""

import contextlib
import copy
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gonogo.adapters.lightning_hooks import (
    Collected,
    attach,
    attached,
    begun,
    counted,
    is_a,
    metrics_of,
    number_of_batches,
    quiet_trainer,
    set_up,
)
from gonogo.adapters.lightning_optimizers import Optimizers, configured
from gonogo.errors import SubjectError
from gonogo.training.session import all_of

FORMS = "a LightningModule with its own loaders, or (module, datamodule), (module, train_loader, valid_loader)"

# Names under which loaders stand in a dict: train, train_loader, val_dataloader, ...
_SPLIT = re.compile(r"(train|val|dev|eval|test)\w*")
_PRECISIONS = {"bf16-mixed": "bf16", "bf16-true": "bf16", "16-mixed": "fp16", "16-true": "fp16"}


def accepts(built: Any) -> bool:
    """Is it a LightningModule, or does it hold one?"""
    return any(is_a(part, "LightningModule") for part in _listed(built))


def fresh(built: Any) -> Any:
    """Copies of live objects: checks train and damage their own."""
    return copy.deepcopy(built)


def parts(built: Any, text: str) -> dict[str, Any]:
    """What `adapters.plain` takes, from the live objects of one build.

    Raises:
        SubjectError: There are no training data, or two modules.
    """
    given = _Given.of(built, text)
    run = _Run(given, text)
    found: dict[str, Any] = {
        "model": given.module,
        "loss": run.loss,
        "step": run.step,
        "optimizer": run.optimizers.torch,
        "scheduler": run.optimizers.only_schedule,
        "train_loader": run.train_loader,
        "config": dict(getattr(given.module, "hparams", {})) or None,
        "claims": run.claims,
        "save": run.save,
        "load": run.load,
    }
    if run.valid_loader is not None:
        found["valid_loader"] = run.valid_loader
        found["evaluate"] = run.evaluate if _overridden(given.module, "validation_step") else None
    return {**found, **given.more}


def _listed(built: Any) -> Sequence[Any]:
    if isinstance(built, Mapping):
        return list(built.values()) if "loss" not in built else ()  # with a loss it is a dict of parts already
    return built if isinstance(built, tuple | list) else (built,)


def _overridden(owner: Any, name: str) -> bool:
    """Is the method of a Lightning object its author's?"""
    method = getattr(type(owner), name, None)
    return method is not None and not method.__module__.startswith(("lightning.", "pytorch_lightning."))


@dataclass(slots=True)
class _Given:
    """The objects by what they are."""

    module: Any
    data: Any = None
    trainer: Any = None
    loaders: dict[str, Any] = field(default_factory=dict)  # by "train", "val" and "test"
    more: dict[str, Any] = field(default_factory=dict)  # claims, name, ... that only a dict can hold

    @staticmethod
    def of(built: Any, text: str) -> "_Given":
        modules = [part for part in _listed(built) if is_a(part, "LightningModule")]
        if len(modules) > 1:
            raise SubjectError(f"{text}() returned {len(modules)} LightningModules; expected {FORMS}")
        given = _Given(modules[0])
        named = built.items() if isinstance(built, Mapping) else ((None, part) for part in _listed(built))
        for name, part in named:
            if is_a(part, "LightningDataModule"):
                given.data = part
            elif is_a(part, "Trainer"):
                given.trainer = part
            elif _is_loader(part) and (name is None or _SPLIT.fullmatch(name)):
                given.loaders[_split_of(name, len(given.loaders))] = part
            elif name is not None and part is not given.module:
                given.more[name] = part
        return given


def _is_loader(part: Any) -> bool:
    return hasattr(part, "__iter__") and not isinstance(part, Mapping | str | bytes)


def _split_of(name: str | None, place: int) -> str:
    found = _SPLIT.fullmatch(name) if name else None
    kind = found[1] if found else ("train", "val", "test")[min(place, 2)]
    return "val" if kind in ("dev", "eval") else kind


class _Run:
    """The functions of a run, over the objects of one build."""

    def __init__(self, given: _Given, text: str) -> None:
        self.given, self.module, self.text = given, given.module, text
        self.trainer = given.trainer or quiet_trainer()
        set_up(self.module, self.trainer, given.data)
        self.train_loader, self.valid_loader = self._loaders()
        attach(self.module, self.trainer, given.data, self.train_loader)
        self.optimizers: Optimizers = configured(self.module, text)
        self.every = int(getattr(self.trainer, "accumulate_grad_batches", 1) or 1)
        self.calls = 0
        self.returned: Any = None  # by the last training_step
        with self._running(self.module, self.optimizers.torch):
            begun(self.module)

    def _loaders(self) -> tuple[Any, Any]:
        owner = self.given.data if self.given.data is not None else self.module
        train, valid = (self.given.loaders.get(name) for name in ("train", "val"))
        if train is None and _overridden(owner, "train_dataloader"):
            train = owner.train_dataloader()
        if valid is None and _overridden(owner, "val_dataloader"):
            valid = owner.val_dataloader()
        if train is None:
            raise SubjectError(f"{self.text}() gave no training data; expected {FORMS}")
        return train, valid[0] if isinstance(valid, list | tuple) and valid else valid

    @property
    def claims(self) -> dict[str, Any]:
        """What the Trainer's own arguments say."""
        norm = getattr(self.trainer, "gradient_clip_val", None)
        by_norm = getattr(self.trainer, "gradient_clip_algorithm", None) in (None, "norm")
        claims = {"accumulation": self.every, "max_norm": float(norm) if norm and by_norm else None}
        return {**claims, "precision": _PRECISIONS.get(str(getattr(self.trainer, "precision", "")))}

    def loss(self, model: Any, batch: Any) -> Tensor:
        """The loss that training_step returns; of a module that optimizes by hand, all that it sends backward."""
        with self._running(model) as collected:
            returned = self._training_step(model, batch)
        if not model.automatic_optimization and collected.sent:
            return torch.stack([loss.float().reshape(()) for loss in collected.sent]).sum()
        loss = returned.get("loss") if isinstance(returned, Mapping) else returned
        if not isinstance(loss, Tensor):
            what = type(loss).__name__
            raise SubjectError(f"training_step returned {what}; expected a loss tensor, or a dict with 'loss'")
        return loss

    def step(self, model: Any, optimizer: Any, batch: Any) -> float:
        """One call of the training loop: an update at every `accumulate_grad_batches`-th."""
        index, self.calls = self.calls, self.calls + 1
        self._count(index)
        with self._running(model, optimizer) as collected:
            model.on_train_batch_start(batch, index)
            if model.automatic_optimization:
                losses = [self._update(model, one, batch, index) for one in all_of(optimizer)[:1]]
            else:
                self._training_step(model, batch, index)
                losses = [float(loss.detach()) for loss in collected.sent]
            model.on_train_batch_end(self._outputs(), batch, index)
        if self.calls % self.every == 0:
            self.optimizers.stepped(self.calls // self.every, number_of_batches(self.train_loader) // self.every)
        return float(sum(losses))

    def _count(self, index: int) -> None:
        """What module and schedules see as global_step and current_epoch."""
        updates = index // self.every if self.module.automatic_optimization else index * len(self.optimizers.optimizers)
        batches = number_of_batches(self.train_loader)
        counted(self.trainer, updates, index // batches if batches else 0)

    def _outputs(self) -> Any:
        """What Lightning hands to on_train_batch_end."""
        kept = self.returned if isinstance(self.returned, Mapping) else {"loss": self.returned}
        return {name: one.detach() if isinstance(one, Tensor) else one for name, one in kept.items()}

    def _update(self, model: Any, optimizer: Optimizer, batch: Any, index: int) -> float:
        values: list[float] = []
        update = (index + 1) % self.every == 0

        def closure() -> Tensor:
            loss = self.loss(model, batch)
            if index % self.every == 0:
                model.on_before_zero_grad(optimizer)
                model.optimizer_zero_grad(0, index, optimizer)
            model.on_before_backward(loss)
            model.backward(loss / self.every)
            model.on_after_backward()
            values.append(float(loss.detach()))
            if update:
                model.on_before_optimizer_step(optimizer)
                clip, how = self.trainer.gradient_clip_val, self.trainer.gradient_clip_algorithm
                model.configure_gradient_clipping(optimizer, clip, how)
            return loss.detach()

        if not update:
            closure()
        elif _overridden(model, "optimizer_step") or isinstance(optimizer, torch.optim.LBFGS):
            model.optimizer_step(0, index, optimizer, closure)
        else:  # the same without a closure, which would hide the gradients from whoever listens to the optimizer
            closure()
            optimizer.step()
        return values[0] if values else 0.0

    def evaluate(self, model: Any, loader: Iterable[Any]) -> Mapping[str, float]:
        """What validation logs, each value averaged over the samples."""
        with self._running(model) as collected, torch.no_grad():
            model.on_validation_model_eval()
            model.on_validation_epoch_start()
            for index, batch in enumerate(loader):
                collected.weigh(batch)
                given = self._moved(model, batch)
                model.validation_step(*_fitting(model.validation_step, given, index))
            model.on_validation_epoch_end()
            model.on_validation_model_train()
            return metrics_of(collected)

    def save(self, path: Path) -> None:
        """Weights, optimizers, schedules and what the module adds to its checkpoint."""
        states = self.optimizers.state_dict()
        checkpoint = {"state_dict": self.module.state_dict(), "global_step": self.calls, **states}
        self.module.on_save_checkpoint(checkpoint)
        torch.save(checkpoint, path)

    def load(self, path: Path) -> None:
        """The counterpart of `save`."""
        checkpoint = torch.load(path, weights_only=True)
        self.module.on_load_checkpoint(checkpoint)
        self.module.load_state_dict(checkpoint["state_dict"])
        self.optimizers.load_state_dict(checkpoint)
        self.calls = checkpoint["global_step"]

    def _training_step(self, model: Any, batch: Any, index: int = 0) -> Any:
        plugin = getattr(self.trainer, "precision_plugin", None)
        given = self._moved(model, batch)
        with plugin.train_step_context() if plugin is not None else contextlib.nullcontext():
            self.returned = model.training_step(*_fitting(model.training_step, given, index))
        return self.returned

    def _moved(self, model: Any, batch: Any) -> Any:
        """The batch after the hooks around its transfer, of the DataModule where it has its own."""
        for name in ("on_before_batch_transfer", "on_after_batch_transfer"):
            owner = self.given.data if _overridden(self.given.data, name) else model
            batch = getattr(owner, name)(batch, 0)
        return batch

    def _running(self, model: Any, optimizer: Any = None) -> Collected:
        attached(model, self.trainer, self.given.data, self.train_loader)
        return Collected(model, () if optimizer is None else all_of(optimizer), self.optimizers.schedules)


def _fitting(method: Callable[..., Any], batch: Any, index: int) -> tuple[Any, ...]:
    """(batch), (batch, batch_idx) or (batch, batch_idx, dataloader_idx), as the method takes them."""
    places = [p for p in inspect.signature(method).parameters.values() if p.default is inspect.Parameter.empty]
    count = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in places)
    return (batch, index, 0)[: max(count, 1)]
