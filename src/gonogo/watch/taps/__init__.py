"""The taps: each puts its hooks into torch and returns how they are taken out again."""

from gonogo.watch.patch import MISTAKES
from gonogo.watch.taps import (
    backward,
    checkpoints,
    clearing,
    clipping,
    freezing,
    loaders,
    losses,
    modules,
    optimizers,
    parameters,
    precision,
    schedulers,
    workers,
)
from gonogo.watch.tracer import Tracer

INSTALLERS = tuple(
    room.install
    for room in (
        optimizers,
        backward,
        modules,
        parameters,
        freezing,
        losses,
        loaders,
        schedulers,
        clearing,
        clipping,
        precision,
        checkpoints,
        workers,
    )
)


def begin(tracer: Tracer) -> None:
    """Put all taps in."""
    MISTAKES.tell = tracer.confess
    try:
        for install in INSTALLERS:
            tracer.undo.extend(install(tracer))
    except BaseException:
        tracer.leave()
        raise
