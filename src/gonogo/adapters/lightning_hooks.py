"""What a LightningModule expects around it while its hooks run outside a Trainer's loop."""

import contextlib
import importlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gonogo.training import batch as nested

_PACKAGES = ("lightning", "pytorch_lightning")


def is_a(part: Any, name: str) -> bool:
    """Is it an instance of a class of Lightning of that name? Lightning is not imported to find out."""
    classes = type(part).__mro__
    return any(one.__name__ == name and one.__module__.partition(".")[0] in _PACKAGES for one in classes)


def quiet_trainer(**given: Any) -> Any:
    """A Trainer that writes, prints and saves nothing, for modules that ask theirs something."""
    lightning = importlib.import_module("lightning.pytorch")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # it tells of devices, and of other products
    quiet = {name: False for name in ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")}
    return lightning.Trainer(**{"accelerator": "cpu", "devices": 1, "max_epochs": 1, **quiet, **given})


def attached(module: Any, trainer: Any, data: Any, train_loader: Any) -> None:
    """Give a module its Trainer; copies of modules lose theirs."""
    if module._trainer is not trainer:
        attach(module, trainer, data, train_loader)


def attach(module: Any, trainer: Any, data: Any, train_loader: Any = None) -> None:
    """Make them known to each other."""
    module.trainer = trainer
    if data is not None:
        data.trainer = trainer
    with contextlib.suppress(Exception):  # what estimates the length of the run reads the data through private parts
        loaders = {} if data is not None else {"train_dataloaders": train_loader}
        trainer.strategy._lightning_module = module
        trainer._data_connector.attach_data(module, datamodule=data, **loaders)


def set_up(module: Any, trainer: Any, data: Any) -> None:
    """What Lightning calls before it asks for loaders and optimizers, in its order."""
    attach(module, trainer, data)
    owners = [owner for owner in (data, module) if owner is not None]
    for owner in owners:
        owner.prepare_data()
    for owner in owners:
        owner.setup("fit")
    module.configure_model()


def begun(module: Any) -> None:
    """What Lightning calls before the first batch: averages of weights and the like are often made there."""
    for name in ("on_fit_start", "on_train_start", "on_train_epoch_start"):
        with contextlib.suppress(Exception):  # they may write to loggers that are not there
            getattr(module, name)()


def counted(trainer: Any, updates: int, epoch: int) -> None:
    """Set what the Trainer counts itself in its own loop: global_step and current_epoch."""
    with contextlib.suppress(AttributeError):
        loop = trainer.fit_loop.epoch_loop
        loop.automatic_optimization.optim_progress.optimizer.step.total.completed = updates
        loop.manual_optimization.optim_step_progress.total.completed = updates
        trainer.fit_loop.epoch_progress.current.processed = epoch


def number_of_batches(loader: Any) -> int:
    """Batches of an epoch, or 0 where a loader does not know."""
    try:
        return len(loader)
    except TypeError:
        return 0


class Collected:
    """While it is entered, a module's calls to its Trainer land here: logged values, backward, its optimizers.

    Attributes:
        sent: Losses that the module sent backward itself.
        logged: Values by name, each with the number of samples that it stands for.
    """

    def __init__(self, module: Any, optimizers: Sequence[Optimizer], schedules: Sequence[Any]) -> None:
        self.module, self.optimizers, self.schedules = module, optimizers, schedules
        self.sent: list[Tensor] = []
        self.logged: dict[str, list[tuple[Any, int]]] = {}
        self.rows = 1

    def __enter__(self) -> "Collected":
        stands = self.optimizers or _StandIns()
        one = stands if isinstance(stands, _StandIns) else stands[0] if len(stands) == 1 else list(stands)
        schedule = self.schedules[0] if len(self.schedules) == 1 else list(self.schedules) or None
        instead = {
            "log": self._log,
            "log_dict": self._log_dict,
            "manual_backward": self._backward,
            "optimizers": lambda use_pl_optimizer=True: one,
            "lr_schedulers": lambda: schedule if self.optimizers else _StandIns(),
            "toggle_optimizer": lambda *args, **kwargs: None,
            "untoggle_optimizer": lambda *args, **kwargs: None,
        }
        vars(self.module).update(instead)
        self._names = tuple(instead)
        return self

    def __exit__(self, *args: object) -> None:
        for name in self._names:
            vars(self.module).pop(name, None)

    def weigh(self, batch: Any) -> None:
        """The values logged next stand for the samples of this batch."""
        sizes = [tensor.shape[0] for tensor in nested.tensors(batch).values() if tensor.dim()]
        self.rows = sizes[0] if sizes else 1

    def _log(self, name: str, value: Any, *args: Any, **kwargs: Any) -> None:
        self.logged.setdefault(name, []).append((value, int(kwargs.get("batch_size") or self.rows)))

    def _log_dict(self, values: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        for name, value in values.items():
            self._log(name, value, **kwargs)

    def _backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        self.sent.append(loss)
        if self.optimizers:  # else it is the loss alone that was asked for
            loss.backward(*args, **kwargs)


class _StandIns(list[Any]):
    """Optimizers and schedules of a pass that must update nothing: however many are unpacked, each does nothing."""

    def __iter__(self) -> Any:
        return iter([_Idle() for _ in range(self._count())])

    def __getitem__(self, index: Any) -> Any:
        return _Idle()

    def __getattr__(self, name: str) -> Any:
        return getattr(_Idle(), name)

    def _count(self) -> int:
        return 2


class _Idle:
    """Takes every call and does nothing."""

    param_groups: Sequence[Any] = ()

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


def metrics_of(collected: Collected) -> dict[str, float]:
    """One number for each logged name: a metric's own, else the mean over the samples."""
    found: dict[str, float] = {}
    for name, entries in collected.logged.items():
        last = entries[-1][0]
        if hasattr(last, "compute"):
            found[name] = float(last.compute())
            last.reset()
            continue
        values = [(float(torch.as_tensor(value).detach().float().mean()), rows) for value, rows in entries]
        found[name] = sum(value * rows for value, rows in values) / max(sum(rows for _, rows in values), 1)
    return found
