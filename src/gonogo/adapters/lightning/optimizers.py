"""What configure_optimizers returns, in each of its forms -> optimizers and when their schedules step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch.optim import Optimizer

from gonogo.errors import SubjectError
from gonogo.training.blame import origin

FORMS = "an optimizer, a list of them, (optimizers, schedulers), or a dict with 'optimizer' and 'lr_scheduler'"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A scheduler, every how many steps or epochs it steps, and the metric that it waits for if it is of that kind."""

    scheduler: Any
    by_step: bool = False
    frequency: int = 1
    monitor: str = ""
    strict: bool = True

    @property
    def waits(self) -> bool:
        """Does it step by a metric?"""
        return any(one.__name__ == "ReduceLROnPlateau" for one in type(self.scheduler).__mro__)


@dataclass(slots=True)
class Optimizers:
    """The optimizers of a module and their schedules."""

    optimizers: list[Optimizer]
    timed: list[Schedule] = field(default_factory=list)

    @property
    def torch(self) -> Any:
        """One optimizer, or a tuple of several."""
        return self.optimizers[0] if len(self.optimizers) == 1 else tuple(self.optimizers)

    @property
    def schedules(self) -> list[Any]:
        """The schedulers alone."""
        return [one.scheduler for one in self.timed]

    @property
    def only_schedule(self) -> Any:
        """The scheduler, where there is one."""
        return self.timed[0].scheduler if len(self.timed) == 1 else None

    def stepped(self, module: Any, step: int, epoch: int) -> None:
        """Move the schedules after an optimizer step; `epoch` is its length in steps, 0 if unknown."""
        for one in self.timed:
            every = one.frequency * (1 if one.by_step else epoch)
            if every and step and step % every == 0 and not one.waits:
                module.lr_scheduler_step(one.scheduler, None)

    def state_dict(self) -> dict[str, Any]:
        """As in a checkpoint of Lightning."""
        return {
            "optimizer_states": [one.state_dict() for one in self.optimizers],
            "lr_schedulers": [one.state_dict() for one in self.schedules],
        }

    def load_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """The counterpart of `state_dict`."""
        for one, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            one.load_state_dict(state)
        for one, state in zip(self.schedules, checkpoint["lr_schedulers"], strict=True):
            one.load_state_dict(state)


def configured(module: Any, text: str) -> Optimizers:
    """The optimizers that a module configures.

    Raises:
        SubjectError: It raises, or returns something else.
    """
    try:
        returned = module.configure_optimizers()
    except Exception as error:
        raise SubjectError(
            f"{text}: configure_optimizers raised {type(error).__name__}: {error} ({origin(error)})"
        ) from error
    found = Optimizers([])
    _read(returned, found)
    if not found.optimizers or not all(isinstance(one, Optimizer) for one in found.optimizers):
        raise SubjectError(f"{text}: configure_optimizers returned {type(returned).__name__}; expected {FORMS}")
    if module.automatic_optimization and any(one.waits and not one.monitor for one in found.timed):
        example = "{'optimizer': ..., 'lr_scheduler': {'scheduler': ..., 'monitor': 'val_loss'}}"
        raise SubjectError(f"{text}: ReduceLROnPlateau needs a monitor; Lightning expects {example}")
    return found


def _read(returned: Any, found: Optimizers) -> None:
    if isinstance(returned, Mapping):
        found.optimizers.append(returned.get("optimizer", returned))  # type: ignore[arg-type]
        if returned.get("lr_scheduler") is not None:
            found.timed.append(_schedule(returned["lr_scheduler"], returned.get("monitor")))
    elif _is_pair(returned):
        found.optimizers.extend(returned[0])
        found.timed.extend(_schedule(one) for one in returned[1])
    elif isinstance(returned, list | tuple):
        for one in returned:
            _read(one, found)
    elif returned is not None:
        found.optimizers.append(returned)


def _is_pair(returned: Any) -> bool:
    lists = isinstance(returned, list | tuple) and len(returned) == 2
    return lists and isinstance(returned[0], list | tuple) and isinstance(returned[1], list | tuple)


def _schedule(given: Any, monitor: str | None = None) -> Schedule:
    if not isinstance(given, Mapping):
        return Schedule(given, monitor=monitor or getattr(given, "monitor", ""))
    if "scheduler" not in given:
        found = f"a dict with {', '.join(map(str, given))}"
        raise SubjectError(f"configure_optimizers returned as lr_scheduler {found}; it needs 'scheduler'")
    by_step, frequency = given.get("interval") == "step", int(given.get("frequency") or 1)
    return Schedule(given["scheduler"], by_step, frequency, given.get("monitor") or "", bool(given.get("strict", True)))
