"""Metrics that callbacks and schedules wait for: Lightning ends a run, after its first validation, that logs none."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gonogo.adapters.lightning.hooks import is_a, package
from gonogo.adapters.lightning.optimizers import Schedule
from gonogo.errors import did_you_mean

_ENDINGS = re.compile(r"(_step|_epoch|/dataloader_idx_\d+)$")  # what Lightning itself adds to a name

_OWN = ("lightning.", "pytorch_lightning.")
_WAIT = ("ModelCheckpoint", "EarlyStopping")


def wait(trainer: Any, callbacks: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Give a Trainer those callbacks of a configuration, as (class, arguments), that wait for a metric."""
    known = package(trainer, "callbacks")
    kinds = [name.rpartition(".")[2] for name, _ in callbacks]
    if not all(name.startswith(_OWN) or hasattr(known, name) for name, _ in callbacks):
        return  # as below
    for kind, (_, given) in zip(kinds, callbacks, strict=True):
        monitor = given.get("monitor")
        if kind in _WAIT and isinstance(monitor, str) and not monitor.startswith(("${", "?")):
            trainer.callbacks.append(getattr(known, kind)(monitor=monitor))


def refuse_unheard(trainer: Any, schedules: Iterable[Schedule], logged: set[str]) -> None:
    """Raise as Lightning does where nothing logs what is waited for.

    Raises:
        RuntimeError: Nothing does; the message has the nearest name.
    """
    if not all(type(one).__module__.startswith(_OWN) for one in trainer.callbacks):
        return  # callbacks of the author's own may log, and are not called
    for who, name in (*_of_callbacks(trainer), *_of_schedules(schedules)):
        if not {name, _ENDINGS.sub("", name)} & logged:
            known = ", ".join(sorted(logged)) or "nothing"
            near = did_you_mean(name, sorted(logged))
            raise RuntimeError(f"{who} waits for the metric {name!r}, which nothing logs; logged are: {known}.{near}")


def _of_callbacks(trainer: Any) -> Iterator[tuple[str, str]]:
    for one in trainer.callbacks:
        waits = is_a(one, "ModelCheckpoint") or (is_a(one, "EarlyStopping") and one.strict)
        if waits and one.monitor:
            yield type(one).__name__, one.monitor


def _of_schedules(schedules: Iterable[Schedule]) -> Iterator[tuple[str, str]]:
    for one in schedules:
        if one.waits and one.strict and one.monitor:
            yield type(one.scheduler).__name__, one.monitor
