"""The taps: each puts its hooks into torch and returns how they are taken out again."""

from gonogo.watch.taps import (
    backward,
    checkpoints,
    clearing,
    clipping,
    loaders,
    losses,
    modules,
    optimizers,
    parameters,
    precision,
    schedulers,
    workers,
)

INSTALLERS = tuple(
    room.install
    for room in (
        optimizers,
        backward,
        modules,
        parameters,
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
