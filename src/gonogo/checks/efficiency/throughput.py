"""How fast a step is, and how long it waits for data."""

import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

WARM_UP = 3  # steps that are not counted: allocators, caches and kernels settle
ENOUGH, SECONDS = 5, 2.0  # so many timed steps do, once this time is spent
NOTICEABLE = 0.010  # seconds: shorter waits are no use to anyone to remove


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[at_most("waiting_share", warn=0.5, source="ours: more than half of the time is not spent on training")],
    since="0.1",
)
def throughput(session: Session, *, steps: int = 20) -> Observation:
    """Training does not wait for data | Training waits for data

    What: times optimizer steps fed by the run's own loader, after a warm-up. `waiting_share` is the share of time in
        which the step waits for its batch (0 if the wait is below ten milliseconds), `samples` the rows per second.
    Why: a device that waits for its data more than half of the time costs double.
    Fix: more DataLoader workers, decode and tokenise once in advance, move work from __getitem__ to the batch.
    Shapes: any.
    Units: waiting_share: 1; samples: samples per second; step, wait: seconds.
    Source: ours. On a machine with more load than cores nothing can be said, and the check says so.
    """
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    waits, times, rows = _timed(session, steps)
    if len(times) < 2:
        raise NotApplicable("the split has too few batches to time anything")
    wait, step = statistics.median(waits), statistics.median(times)
    share = wait / (wait + step) if wait > NOTICEABLE else 0.0
    busy = load > cores
    return Observation(
        {
            # With more load than cores the wait may be the neighbours' fault.
            "waiting_share": Measurement(share, low=0.0, high=share, n=len(times))
            if busy
            else Measurement(share, n=len(times)),
            "samples": Measurement(rows / (wait + step), "{sample}/s", n=len(times)),
            "step": Measurement(step, "s", n=len(times)),
            "wait": Measurement(wait, "s", n=len(times)),
        },
        (
            Table(
                "Seconds by step",
                ("step", "wait", "step time"),
                tuple(zip(range(len(times)), waits, times, strict=True)),
                kind="line",
            ),
            Table("Conditions", ("load", "cores", "device"), ((load, cores, str(session.device)),)),
        ),
    )


def _timed(session: Session, steps: int) -> tuple[list[float], list[float], int]:
    waits: list[float] = []
    times: list[float] = []
    rows, stream, begun = 0, _endless(session), time.perf_counter()
    for index in range(WARM_UP + steps):
        started = time.perf_counter()
        batch = next(stream, None)
        fetched = time.perf_counter()
        if batch is None or (session.seconds_left < 0 and len(times) > 1):
            break
        session.step(nested.to(batch, session.device))
        if index >= WARM_UP:
            waits.append(fetched - started)
            times.append(time.perf_counter() - fetched)
            rows = max(rows, nested.size(batch) or 0)
        if len(times) >= ENOUGH and time.perf_counter() - begun > SECONDS:
            break
    return waits, times, rows


def _endless(session: Session) -> Iterator[Any]:
    """Batches, epoch after epoch, for small splits; ends if an epoch is empty."""
    while True:
        count = 0
        for batch in session.loader("train"):
            count += 1
            yield batch
        if not count:
            return


@fault(expect=Status.WARN)
def slow_samples(subject: Subject) -> Subject:
    """Every batch takes fifty milliseconds to come."""

    def slowed(loader: Any) -> Iterator[Any]:
        for batch in loader:
            time.sleep(0.05)
            yield batch

    return subject.map_split("train", lambda split: split.map(slowed))
