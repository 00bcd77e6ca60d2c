"""A LightningModule, with its DataModule or loaders and Trainer -> the dict of its live parts.

Their own hooks run in Lightning's order (training_step, backward, clipping, optimizer_step, schedulers); the loop
around them is ours, so callbacks and loggers of the Trainer stay silent. Nothing here imports Lightning before it has
seen one of its objects.
"""

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gonogo.adapters.lightning_hooks import Collected, attached, is_a, metrics_of, number_of_batches, quiet_trainer
from gonogo.adapters.lightning_optimizers import Optimizers, configured
from gonogo.errors import SubjectError

FORMS = "a LightningModule with its own loaders, or (module, datamodule), (module, train_loader, valid_loader)"


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
    loaders: list[Any] = field(default_factory=list)
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
            elif hasattr(part, "__iter__") and name in (None, "train_loader", "valid_loader", "test_loader"):
                given.loaders.append(part)
            elif name is not None and part is not given.module:
                given.more[name] = part
        return given


class _Run:
    """The functions of a run, over the objects of one build."""

    def __init__(self, given: _Given, text: str) -> None:
        self.given, self.module, self.text = given, given.module, text
        self.trainer = given.trainer or quiet_trainer()
        self.train_loader, self.valid_loader = self._loaders()
        attached(self.module, self.trainer, given.data, self.train_loader)
        self.optimizers: Optimizers = configured(self.module, text)
        self.every = int(getattr(self.trainer, "accumulate_grad_batches", 1) or 1)
        self.calls = 0

    def _loaders(self) -> tuple[Any, Any]:
        data = self.given.data
        if data is not None:
            data.prepare_data()
            data.setup("fit")
        owner = data if data is not None else self.module
        train, valid = (*self.given.loaders, None, None)[:2]
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
        return {"accumulation": self.every, "max_norm": float(norm) if norm and by_norm else None}

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
        with self._running(model, optimizer) as collected:
            model.on_train_batch_start(batch, index)
            if model.automatic_optimization:
                losses = [self._update(model, one, batch, index) for one in _all(optimizer)[:1]]
            else:
                returned = self._training_step(model, batch, index)
                losses = [float(loss.detach()) for loss in collected.sent] or [returned]
            model.on_train_batch_end(None, batch, index)
        if self.calls % self.every == 0:
            self.optimizers.stepped(self.calls // self.every, number_of_batches(self.train_loader) // self.every)
        return float(sum(loss for loss in losses if isinstance(loss, int | float)))

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
        if plugin is None:
            return model.training_step(*_fitting(model.training_step, given, index))
        with plugin.train_step_context():
            return model.training_step(*_fitting(model.training_step, given, index))

    def _moved(self, model: Any, batch: Any) -> Any:
        """The batch after the hooks around its transfer, of the DataModule where it has its own."""
        for name in ("on_before_batch_transfer", "on_after_batch_transfer"):
            owner = self.given.data if _overridden(self.given.data, name) else model
            batch = getattr(owner, name)(batch, 0)
        return batch

    def _running(self, model: Any, optimizer: Any = None) -> Collected:
        attached(model, self.trainer, self.given.data, self.train_loader)
        return Collected(model, _all(optimizer), self.optimizers.schedules)


def _all(optimizer: Any) -> tuple[Optimizer, ...]:
    if optimizer is None:
        return ()
    return tuple(optimizer) if isinstance(optimizer, tuple | list) else (optimizer,)


def _fitting(method: Callable[..., Any], batch: Any, index: int) -> tuple[Any, ...]:
    """(batch), (batch, batch_idx) or (batch, batch_idx, dataloader_idx), as the method takes them."""
    places = [p for p in inspect.signature(method).parameters.values() if p.default is inspect.Parameter.empty]
    count = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in places)
    return (batch, index, 0)[: max(count, 1)]
