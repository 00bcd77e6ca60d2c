"""What the run takes of the machine, what it will need, and whether its memory grows."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.instruments.machine.resource_use import Use, growth, use
from gonogo.sizing.costs import cloud
from gonogo.training.machine import cores, machine
from gonogo.training.session import Session
from gonogo.training.settings import number, only, read, settings
from gonogo.training.subject import Subject

LEAK = 64 * 1024  # bytes by step: 6 GB in a hundred thousand steps


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("growth", warn=LEAK, source="ours: 6 GB in a hundred thousand steps; healthy programs: 0"),
        at_most("memory_share", warn=1.0, source="MAFT-5.4: the peak times 1.5 must be there"),
    ],
    since="0.5",
)
def resource_use(session: Session, *, steps: int = 40, seconds: float = 2.0, every: float = 0.1) -> Observation:
    """The run's memory does not grow, and fits | The run's memory grows, or does not fit

    What: takes steps on a few batches in turn while a second thread looks at processor, memory, disk and GPU.
        `growth` is the memory that every step leaves behind: the least of the slopes between four blocks of steps after
        a warm-up. `memory_share` is the peak times 1.5 over the memory of this process. The last table says what to
        rent for the whole run, from dated prices.
    Why: a list of losses with their graphs, or a cache without end, kills the run in its second night, on a machine
        that was large enough for its first hour.
    Fix: growth: look for tensors that are kept without detach(), and for lists and dicts that only grow; see
        learning.kept-graphs. Share: a smaller batch, fewer workers, or a larger machine.
    Shapes: any.
    Units: growth: By/{step}; peak, needed_memory: By; processors: {core}; step: s; memory_share: 1.
    Source: ours; psutil.readthedocs.io, Process.memory_info.
    """
    seen = use(session, steps, seconds, every)
    needed = _need(session, seen)
    kept, n = growth(seen.held), len(seen.held)
    peak = seen.sampler.peak("resident")
    found = {
        "memory_share": Measurement(cloud.MARGIN * peak / machine(Path.cwd()).memory, n=n),
        "peak": Measurement(peak, "By", n=n),
        "needed_memory": Measurement(needed.memory, "By"),
        "processors": Measurement(seen.sampler.peak("processor"), "{core}"),
        "step": Measurement(seen.step, "s", n=n),
    }
    if kept is not None:
        found["growth"] = Measurement(kept, "By/{step}", n=n)
    return Observation(found, (*seen.sampler.tables(), _peaks(seen), cloud.table(needed)))


def _need(session: Session, seen: Use) -> cloud.Need:
    sampler = seen.sampler
    held = [sum(one.nbytes for one in session.model.parameters())] * 2  # weights and gradients, at least
    return cloud.need(
        resident=sampler.peak("resident"),
        added=max(sampler.peak("resident") - seen.before, sum(held)),
        cores=sampler.peak("processor"),
        gpu=sampler.peak("gpu"),
        step=seen.step,
        steps=_steps(session),
    )


def _steps(session: Session) -> int | None:
    """Calls of the step function in the whole run, as far as it is known."""
    if session.claims.total_steps:
        return session.claims.total_steps * max(1, session.claims.accumulation)
    config = session.subject.config
    found = [] if config is None else settings(read(config))
    steps, epochs = (
        None if one is None else number(one.value) for one in (only(found, "steps"), only(found, "epochs"))
    )
    length = getattr(session.loader("train"), "__len__", None)
    if steps and steps > 0:  # -1 leaves it to the epochs
        return int(steps)
    return int(epochs * length()) if epochs and epochs > 0 and length else None


def _peaks(seen: Use) -> Table:
    names = ("resident", "system", "disk", "gpu")
    peaks = replace(seen.sampler.snapshots[-1], **{name: int(seen.sampler.peak(name)) for name in names}).words()
    load, allowed = os.getloadavg()[0], cores()
    busy = "more load than cores: times are upper bounds" if load > allowed else "no more load than cores"
    rows = (*peaks.items(), ("load of the machine", f"{load:.1f} on {allowed:g} cores; {busy}"))
    return Table("Peaks", ("of", "is"), rows)


def _leaking(subject: Subject, keep: Callable[[Any], object]) -> Subject:
    def change(loss: Callable[..., Any]) -> Callable[..., Any]:
        kept: list[object] = []

        def leak(model: nn.Module, batch: Any) -> Any:
            value = loss(model, batch)
            kept.append(keep(value))
            return value

        return leak

    return subject.map_loss(change)


@fault(expect=Status.WARN)
def a_list_that_grows(subject: Subject) -> Subject:
    """Every step keeps two megabytes in a list."""
    return _leaking(subject, lambda _: torch.ones(500_000))
