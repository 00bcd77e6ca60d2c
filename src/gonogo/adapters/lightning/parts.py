"""A LightningModule, with its DataModule or loaders and Trainer -> the dict of its live parts.

Their own hooks run in Lightning's order (training_step, backward, clipping, optimizer_step, schedulers); the loop
around them is ours, so callbacks and loggers of the Trainer stay silent. Nothing here imports Lightning before it has
seen one of its objects.
"""

import copy
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gonogo.adapters.lightning.given import FORMS, Given, listed
from gonogo.adapters.lightning.hooks import (
    Collected,
    attach,
    attached,
    begun,
    counted,
    fitting,
    handed,
    is_a,
    is_quiet,
    metrics_of,
    overridden,
    quiet_trainer,
    set_up,
    silence,
    steps_by_hand,
    told,
)
from gonogo.adapters.lightning.length import epoch_of, planned
from gonogo.adapters.lightning.loaders import for_training, for_validation
from gonogo.adapters.lightning.monitors import refuse_unheard
from gonogo.adapters.lightning.optimizers import Optimizers, configured
from gonogo.adapters.lightning.rules import refuse
from gonogo.errors import NotApplicable, SubjectError
from gonogo.training.session import all_of

_PRECISIONS = {"bf16-mixed": "bf16", "bf16-true": "bf16", "16-mixed": "fp16", "16-true": "fp16"}


def accepts(built: Any) -> bool:
    """Is it an object of Lightning, or does it hold one?"""
    kinds = ("LightningModule", "LightningDataModule", "Trainer", "LightningCLI")
    return any(is_a(part, kind) for part in (built, *listed(built)) for kind in kinds)


def fresh(built: Any) -> Any:
    """Copies of live objects: checks train and damage their own."""
    return copy.deepcopy(listed(built) if is_a(built, "LightningCLI") else built)


def parts(built: Any, text: str) -> dict[str, Any]:
    """What `adapters.plain` takes, from the live objects of one build.

    Raises:
        SubjectError: There are no training data, or two modules.
    """
    given = Given.of(built, text)
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
        found["evaluate"] = run.evaluate if overridden(given.module, "validation_step") else None
    return {**found, **given.more}


class _Run:
    """The functions of a run, over the objects of one build."""

    def __init__(self, given: Given, text: str) -> None:
        self.given, self.module, self.text = given, given.module, text
        self.trainer = given.trainer or quiet_trainer(self.module)
        silence(self.trainer)
        set_up(self.module, self.trainer, given.data)
        self.train_loader, self.valid_loader = self._loaders()
        attach(self.module, self.trainer, given.data, self.train_loader)
        self.batches = epoch_of(self.trainer, self.train_loader)
        self.optimizers: Optimizers = configured(self.module, text)
        refuse(self.trainer, self.module, self.optimizers.optimizers, text)
        self.every = int(getattr(self.trainer, "accumulate_grad_batches", 1) or 1)
        self.calls = 0
        self.value = 0.0  # of the last loss
        self.returned: Any = None  # by the last training_step
        self.heard, self.whole = set[str](), False  # names that were logged; was there an epoch, with its end?
        with self._running(self.module, self.optimizers.torch):
            begun(self.module)

    def _loaders(self) -> tuple[Any, Any]:
        owner = self.given.data if self.given.data is not None else self.module
        train, valid = (self.given.loaders.get(name) for name in ("train", "val"))
        if train is None and overridden(owner, "train_dataloader"):
            train = owner.train_dataloader()
        if valid is None and overridden(owner, "val_dataloader"):
            valid = owner.val_dataloader()
        if train is None:
            raise SubjectError(f"{self.text}() gave no training data; expected {FORMS}")
        return for_training(train, self.module), for_validation(valid)

    @property
    def claims(self) -> dict[str, Any]:
        """What the Trainer's own arguments say."""
        norm = getattr(self.trainer, "gradient_clip_val", None)
        by_norm = getattr(self.trainer, "gradient_clip_algorithm", None) in (None, "norm")
        claims = {"accumulation": self.every, "max_norm": float(norm) if norm and by_norm else None}
        precision = _PRECISIONS.get(str(getattr(self.trainer, "precision", "")))
        return {**claims, "precision": precision, "total_steps": self._planned()}

    def _planned(self) -> int | None:
        """Updates of the whole run, where the author's own Trainer says how many there will be."""
        theirs = not is_quiet(self.trainer) and self.module.automatic_optimization
        return planned(self.trainer, self.batches, self.every) if theirs else None

    def loss(self, model: Any, batch: Any) -> Tensor:
        """The loss that training_step returns; of a module that optimizes by hand, all that it sends backward."""
        with self._running(model) as collected:
            returned = self._training_step(model, batch)
        if not model.automatic_optimization and collected.sent:
            return torch.stack([loss.float().reshape(()) for loss in collected.sent]).sum()
        loss = returned.get("loss") if isinstance(returned, Mapping) else returned
        if returned is None and self._others(model):
            raise NotApplicable("training_step returned None: it skips this batch, as it may")
        if not isinstance(loss, Tensor):
            raise SubjectError(_no_loss(model, returned))
        return loss

    def _others(self, model: Any) -> bool:
        """Is there a loss of another batch?"""
        with torch.no_grad(), self._running(model) as collected:
            for batch in itertools.islice(self.train_loader, 8):
                if self._training_step(model, batch) is not None or collected.sent:
                    return True
        return False

    def step(self, model: Any, optimizer: Any, batch: Any) -> float:
        """One call of the training loop: an update at every `accumulate_grad_batches`-th."""
        index, self.calls = self.calls, self.calls + 1
        batches = self.batches
        place = index % batches if batches else index
        ends = place == batches - 1
        self._count(index, batches, ends)
        with self._running(model, optimizer) as collected:
            if index and not place:
                told(model, "on_train_epoch_start")
            model.on_train_batch_start(batch, place)
            if model.automatic_optimization:
                self._update(model, all_of(optimizer)[0], batch, index, place)
            else:
                self._training_step(model, batch, place)
                self.value = (
                    float(sum(float(loss.detach()) for loss in collected.sent)) if collected.sent else self.value
                )
            model.on_train_batch_end(self._outputs(), batch, place)
            if ends:
                self.whole = told(model, "on_train_epoch_end")
            self.heard |= collected.logged.keys()
        if model.automatic_optimization and self.calls % self.every == 0:
            self.optimizers.stepped(model, self.calls // self.every, batches // self.every)
        return self.value

    def _count(self, index: int, batches: int, ends: bool) -> None:
        """What module and schedules see as global_step, current_epoch and is_last_batch."""
        counted(self.trainer, index // self.every, index // batches if batches else 0, ends)

    def _outputs(self) -> Any:
        """What Lightning hands to on_train_batch_end."""
        kept = self.returned if isinstance(self.returned, Mapping) else {"loss": self.returned}
        return {name: one.detach() if isinstance(one, Tensor) else one for name, one in kept.items()}

    def _update(self, model: Any, optimizer: Optimizer, batch: Any, index: int, place: int) -> None:
        update = (index + 1) % self.every == 0

        def closure() -> Tensor | None:
            loss = self._own_loss(model, batch, place)
            if index % self.every == 0:
                model.on_before_zero_grad(optimizer)
                model.optimizer_zero_grad(0, place, optimizer)
            if loss is not None:
                model.on_before_backward(loss)
                model.backward(loss / self.every)
                model.on_after_backward()
                self.value = float(loss.detach())
            if update:
                model.on_before_optimizer_step(optimizer)
                clip, how = self.trainer.gradient_clip_val, self.trainer.gradient_clip_algorithm
                model.configure_gradient_clipping(optimizer, clip, how)
            return None if loss is None else loss.detach()

        if not update:
            closure()
        elif overridden(model, "optimizer_step") or isinstance(optimizer, torch.optim.LBFGS):
            model.optimizer_step(0, place, optimizer, closure)
        else:  # the same without a closure, which would hide the gradients from whoever listens to the optimizer
            closure()
            optimizer.step()

    def _own_loss(self, model: Any, batch: Any, place: int) -> Tensor | None:
        """The loss of a step, or None where the module skips the batch."""
        returned = self._training_step(model, batch, place)
        loss = returned.get("loss") if isinstance(returned, Mapping) else returned
        if returned is not None and not isinstance(loss, Tensor):
            raise SubjectError(_no_loss(model, returned))
        return loss

    def evaluate(self, model: Any, loader: Iterable[Any]) -> Mapping[str, float]:
        """What validation logs, each value averaged over the samples."""
        self.trainer.validating = True
        with self._running(model) as collected, torch.no_grad():
            model.on_validation_model_eval()
            told(model, "on_validation_start", "on_validation_epoch_start")
            for index, batch in enumerate(loader):
                collected.weigh(batch)
                model.on_validation_batch_start(batch, index)
                given = self._moved(model, batch)
                with self._plugin.val_step_context():
                    outputs = model.validation_step(*fitting(model.validation_step, given, index))
                model.on_validation_batch_end(outputs, batch, index)
            model.on_validation_epoch_end()
            told(model, "on_validation_end")
            model.on_validation_model_train()
        self.heard |= collected.logged.keys()
        if self.whole and not is_quiet(self.trainer):
            refuse_unheard(self.trainer, self.optimizers.timed, self.heard)
        return metrics_of(collected)

    def save(self, path: Path) -> None:
        """Weights, optimizers, schedules and what the module adds to its checkpoint."""
        states = self.optimizers.state_dict()
        checkpoint = {"state_dict": self.module.state_dict(), "global_step": self.calls, **states}
        checkpoint["loops"] = steps_by_hand(self.trainer).total.completed
        self.module.on_save_checkpoint(checkpoint)
        torch.save(checkpoint, path)

    def load(self, path: Path) -> None:
        """The counterpart of `save`."""
        checkpoint = torch.load(
            path, weights_only=False
        )  # `save` has just written it, with objects of the module's own
        self.module.on_load_checkpoint(checkpoint)
        self.module.load_state_dict(checkpoint["state_dict"])
        self.optimizers.load_state_dict(checkpoint)
        self.calls = checkpoint["global_step"]
        steps_by_hand(self.trainer).total.completed = checkpoint["loops"]

    @property
    def _plugin(self) -> Any:
        return self.trainer.precision_plugin

    def _training_step(self, model: Any, batch: Any, index: int = 0) -> Any:
        self.trainer.training = True
        self.returned = None
        if batch is not None:  # a collator may say so that it has nothing
            given = self._moved(model, batch)
            with self._plugin.train_step_context():
                self.returned = model.training_step(*fitting(model.training_step, given, index))
        return self.returned

    def _moved(self, model: Any, batch: Any) -> Any:
        """The batch after the hooks around its transfer, of the DataModule where it has its own."""
        own = next((p.dtype for p in model.parameters()), None)
        if self._plugin.convert_input(torch.zeros(1)).dtype is own:  # else a check has moved the model to another
            batch = self._plugin.convert_input(batch)
        for name in ("on_before_batch_transfer", "on_after_batch_transfer"):
            owner = self.given.data if overridden(self.given.data, name) else model
            batch = getattr(owner, name)(batch, 0)
        return batch

    def _running(self, model: Any, optimizer: Any = None) -> Collected:
        attached(model, self.trainer, self.given.data, self.train_loader)
        own = self.optimizers.optimizers if optimizer is None else all_of(optimizer)
        handed(self.trainer, own, self.optimizers.schedules)
        return Collected(model, self.trainer, still=optimizer is None)


def _no_loss(model: Any, returned: Any) -> str:
    what = f"a dict with {', '.join(map(str, returned))}" if isinstance(returned, Mapping) else type(returned).__name__
    found = f"training_step returned {'None' if returned is None else what}"
    if not model.automatic_optimization:
        return (
            f"{found} and sent nothing backward; with automatic_optimization=False it must call manual_backward(loss)"
        )
    missing = ". Is a `return loss` missing?" if returned is None else ""
    return f"{found}; expected a loss tensor, or a dict with 'loss'{missing}"
