"""What a LightningModule expects around it while its hooks run outside a Trainer's loop."""

import contextlib
import functools
import importlib
import inspect
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.optim import Optimizer

from gonogo.adapters.lightning.still import Still
from gonogo.training import batch as nested

_PACKAGES = ("lightning", "pytorch_lightning")
_QUIET = "_gonogo_quiet"


def is_a(part: Any, name: str) -> bool:
    """Is it an instance of a class of Lightning of that name? Lightning is not imported to find out."""
    return any(one.__name__ == name and _root(one) in _PACKAGES for one in type(part).__mro__)


def package(part: Any, name: str = "") -> Any:
    """The Lightning of which an object's class is: there are two of the same content, and they do not mix."""
    root = next(_root(one) for one in type(part).__mro__ if _root(one) in _PACKAGES)
    return importlib.import_module(f"{'lightning.pytorch' if root == 'lightning' else root}.{name}".rstrip("."))


def _root(one: type) -> str:
    return one.__module__.partition(".")[0]


def overridden(owner: Any, name: str) -> bool:
    """Is the method of a Lightning object its author's?"""
    method = getattr(type(owner), name, None)
    return method is not None and not method.__module__.startswith(("lightning.", "pytorch_lightning."))


def fitting(method: Callable[..., Any], batch: Any, index: int) -> tuple[Any, ...]:
    """(batch), (batch, batch_idx) or (batch, batch_idx, dataloader_idx), as the method takes them."""
    takes = inspect.signature(method).parameters.values()
    places = [one for one in takes if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    needed = sum(one.default is inspect.Parameter.empty for one in places)
    more = len(places) > 1 or any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in takes)
    return (batch, index, 0)[: max(needed, 2 if more else 1)]


def quiet_trainer(module: Any, **given: Any) -> Any:
    """A Trainer that writes, prints and saves nothing, for modules that ask theirs something."""
    lightning = package(module)
    logging.getLogger(lightning.__name__).setLevel(logging.WARNING)  # it tells of devices, and of other products
    quiet = {name: False for name in ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")}
    trainer = lightning.Trainer(**{"accelerator": "cpu", "devices": 1, "max_epochs": 1, **quiet, **given})
    vars(trainer)[_QUIET] = True
    return trainer


def own_trainer(module: Any, **given: Any) -> Any:
    """The author's own, by the arguments of a configuration: how long it trains, and what it waits for, is theirs."""
    trainer = quiet_trainer(module, **{"max_epochs": None, "logger": True, **given})
    vars(trainer).pop(_QUIET)
    return trainer


def is_quiet(trainer: Any) -> bool:
    """Is it a stand-in, and not its author's own?"""
    return _QUIET in vars(trainer)


def silence(trainer: Any) -> None:
    """Put a logger that writes nothing in the place of a Trainer's own, or of the one that it has by default."""
    if not (trainer.loggers or is_quiet(trainer)):
        return
    base = package(trainer, "loggers.logger").DummyLogger
    folder = property(lambda self: tempfile.gettempdir())  # figures are saved beside the log
    trainer.loggers = [type(base.__name__, (base,), {"log_dir": folder, "save_dir": folder, "root_dir": folder})()]


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
    trainer.state.fn = package(trainer, "trainer.states").TrainerFn.FITTING
    module.configure_model()
    for callback in trainer.callbacks:  # the others stay silent; this one says what trains
        if is_a(callback, "BaseFinetuning"):
            callback.freeze_before_training(module)
    trainer.precision_plugin.convert_module(module)  # to bf16-true and the like


def begun(module: Any) -> None:
    """What Lightning calls before the first batch: averages of weights and the like are often made there."""
    told(module, "on_fit_start", "on_train_start", "on_train_epoch_start")


def told(module: Any, *names: str) -> bool:
    """Call hooks that may ask for what is not here: metrics of a validation that has not been, files. Did they run?"""
    done = 0
    for name in names:
        with contextlib.suppress(Exception):
            getattr(module, name)()
            done += 1
    return done == len(names)


def handed(trainer: Any, optimizers: Sequence[Optimizer], schedules: Sequence[Any]) -> None:
    """Let the Trainer have the optimizers, from which modules ask them back in several ways."""
    trainer.strategy.optimizers = list(optimizers)
    trainer.strategy.lr_scheduler_configs = [SimpleNamespace(scheduler=schedule) for schedule in schedules]
    for one in trainer.strategy._lightning_optimizers:  # through which alone a module that optimizes by hand steps
        one._on_after_step = steps_by_hand(trainer).increment_completed
        one.step = functools.partial(_plainly, trainer, one, one.step)


def _plainly(trainer: Any, one: Any, real: Callable[..., Any], closure: Any = None, **given: Any) -> Any:
    """A step by hand: Lightning hands on an empty closure, which hides the gradients from whoever listens."""
    if closure is not None:
        return real(closure, **given)
    trainer.lightning_module.on_before_optimizer_step(one.optimizer)
    done = one.optimizer.step(**given)
    one._on_after_step()
    return done


def steps_by_hand(trainer: Any) -> Any:
    """The count of steps that a module took itself."""
    return trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress


def counted(trainer: Any, updates: int, epoch: int, last: bool) -> None:
    """Set what the Trainer counts in its own loop: global_step, current_epoch and is_last_batch."""
    with contextlib.suppress(AttributeError):
        loop = trainer.fit_loop.epoch_loop
        loop.automatic_optimization.optim_progress.optimizer.step.total.completed = updates
        loop.batch_progress.is_last_batch = last
        trainer.fit_loop.epoch_progress.current.processed = epoch


class Collected:
    """While it is entered, a module's calls to its Trainer land here: logged values, backward, its optimizers.

    Attributes:
        sent: Losses that the module sent backward itself.
        logged: Values by name, each with the number of samples that it stands for.
    """

    def __init__(self, module: Any, trainer: Any, *, still: bool) -> None:
        """`still`: the loss alone is asked for, and nothing must be updated."""
        self.module, self.trainer, self.still = module, trainer, still
        self.sent: list[Tensor] = []
        self.logged: dict[str, list[tuple[Any, int]]] = {}
        self.rows = 1
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> "Collected":
        inner = [one for one in self.module.modules() if is_a(one, "LightningModule")]
        for one in inner:  # parts that are modules of Lightning themselves log, too
            self._instead(one, {"log": self._log, "log_dict": self._log_dict})
        self._instead(self.module, self._idle() if self.still else {})
        if not self.module.automatic_optimization:  # manual_backward is advised and not enforced
            real = Tensor.backward
            self._undo.enter_context(mock.patch.object(Tensor, "backward", lambda *a, **k: self._called(real, *a, **k)))
        return self

    def __exit__(self, *args: object) -> None:
        self._undo.close()

    def _instead(self, module: Any, changes: Mapping[str, Any]) -> None:
        vars(module).update(changes)
        for name in changes:
            self._undo.callback(vars(module).pop, name, None)

    def _idle(self) -> dict[str, Any]:
        """Optimizers and schedules can be read, and do nothing."""
        optimizers = [Still(one) for one in self.trainer.strategy.optimizers]
        schedules = [Still(config.scheduler) for config in self.trainer.strategy.lr_scheduler_configs]
        nothing = ("toggle_optimizer", "untoggle_optimizer", "clip_gradients")
        return {
            "optimizers": lambda use_pl_optimizer=True: optimizers[0] if len(optimizers) == 1 else optimizers,
            "lr_schedulers": lambda: (schedules[0] if len(schedules) == 1 else schedules) or None,
            "toggled_optimizer": lambda *args, **kwargs: contextlib.nullcontext(),
            **dict.fromkeys(nothing, lambda *args, **kwargs: None),
            **({} if self.module.automatic_optimization else {"manual_backward": self._backward}),
        }

    def weigh(self, batch: Any) -> None:
        """The values logged next stand for the samples of this batch."""
        sizes = [tensor.shape[0] for tensor in nested.tensors(batch).values() if tensor.dim()]
        self.rows = sizes[0] if sizes else 1

    def _log(self, name: str, value: Any, *args: Any, **kwargs: Any) -> None:
        self.logged.setdefault(name, []).append((value, int(kwargs.get("batch_size") or self.rows)))
        if isinstance(value, Tensor | int | float):
            with contextlib.suppress(AttributeError):
                self.trainer._logger_connector._callback_metrics[name] = torch.as_tensor(value).detach()

    def _log_dict(self, values: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        for name, value in values.items():
            self._log(name, value, **kwargs)

    def _backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        loss.backward(*args, **kwargs)

    def _called(self, real: Any, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        self.sent.append(loss)
        if not self.still:
            real(loss, *args, **kwargs)


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
