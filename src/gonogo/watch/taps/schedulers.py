"""Learning-rate schedulers: what they say of themselves, and when they step."""

from typing import Any

from torch.optim import lr_scheduler

from gonogo.watch.patch import Undo, quietly, replace
from gonogo.watch.tracer import Tracer

LENGTHS = ("T_max", "total_steps", "total_iters", "step_size", "T_0", "T_mult", "milestones")
_BASES = (lr_scheduler.LRScheduler, lr_scheduler.ReduceLROnPlateau)


def install(tracer: Tracer) -> list[Undo]:
    """See every step of a scheduler that no other scheduler takes."""
    inside = [0]
    kinds = {
        kind
        for kind in vars(lr_scheduler).values()
        if isinstance(kind, type) and issubclass(kind, _BASES) and not kind.__name__.startswith("_")
    }
    undo = [replace(kind, "step", _outermost(tracer, inside, note)) for kind in kinds if "step" in vars(kind)]
    # The first step belongs to the building.
    built = _outermost(tracer, inside, introduce)
    return undo + [replace(kind, "__init__", built) for kind in kinds if "__init__" in vars(kind)]


def _outermost(tracer: Tracer, inside: list[int], told: Any) -> Any:
    def make(old: Any) -> Any:
        def tapped(self: Any, *given: Any, **named: Any) -> Any:
            inside[0] += 1
            try:
                answer = old(self, *given, **named)
            finally:
                inside[0] -= 1
            if inside[0] == 0 and tracer.here:
                told(tracer, self, any(value is not None for value in (*given, *named.values())))
            return answer

        return tapped

    return make


@quietly
def introduce(tracer: Tracer, scheduler: Any, _: bool = False) -> None:
    """Tell of a scheduler when it is built."""
    number, new = tracer.number("scheduler", scheduler)
    if new:
        optimizer = getattr(scheduler, "optimizer", None)
        place = tracer.optimizer(optimizer) if optimizer is not None else -1
        lengths = {name: value for name in LENGTHS if isinstance(value := getattr(scheduler, name, None), int)}
        tracer.emit("scheduler", scheduler=number, name=type(scheduler).__name__, optimizer=place, **lengths)


@quietly
def note(tracer: Tracer, scheduler: Any, given: bool) -> None:
    """Tell of one step, and whether it was given an epoch or a metric to go by."""
    introduce(tracer, scheduler)
    number, _ = tracer.number("scheduler", scheduler)
    tracer.emit("tick", scheduler=number, last_epoch=int(getattr(scheduler, "last_epoch", -1)), given=given)
