"""Observe a training script as it runs.

    injected/   what Python loads first in the watched process: it waits for torch
    tracer      the events of one process, as the taps tell them
    taps/       one file for each thing that is watched: optimizers, losses, loaders, ...
    process     watch a whole process; `inside` a piece of this one
    ending      how the script is stopped after enough steps
    launch      the supervisor's side: command, environment, what came of it
    live        the watch that stays on during the real training, of `gonogo.watch(model, optimizer)` and callbacks

What `gonogo watch` runs inside the user's process imports the standard library and torch, nothing else, and holds no
tensor longer than one step. What it writes is read by `gonogo.training.recording` and judged by `gonogo.checks.watch`.
"""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """`with gonogo.watch(model, optimizer):` reads best, and this package has the name already: so it can be called."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        """The context manager `gonogo.watch.live.loop.Watch`; torch is imported here and not before."""
        from gonogo.watch.live.loop import Watch

        return Watch(*given, **named)


sys.modules[__name__].__class__ = _Callable
