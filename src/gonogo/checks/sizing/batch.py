"""The largest batch that fits: room that is paid for, or a batch that does not fit."""

from dataclasses import replace

import torch

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_least
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.sizing.answer import HEADROOM, Sizing, size
from gonogo.sizing.card.allocator import GIB
from gonogo.sizing.costs import devices
from gonogo.sizing.programs.program import Program, of_subject, samples
from gonogo.sizing.strategies import batches
from gonogo.sizing.strategies import named as strategies
from gonogo.training.loop import Loss
from gonogo.training.session import Session
from gonogo.training.subject import Subject

TRIES = 4  # traces after the first


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    criteria=[at_least("room", fail=1.0, source="exact for a traced step: the batch given must itself fit")],
    since="0.4",
)
def batch(session: Session) -> Observation:
    """The batch fits the device | The batch is larger than the device holds

    What: traces the step at the batch given and at others and finds the largest number of rows that leaves a tenth of
        the device free. `room` is that number divided by the rows of the first training batch; `largest` the number.
    Why: a batch found by doubling until it breaks fits at the first step and breaks at the longest sample.
    Fix: fewer rows in a micro-batch and accumulation to keep the batch of an update.
    Shapes: the first axis of the first training batch is taken for the rows.
    Units: room: 1; largest: rows.
    Source: ours.
    """
    if not session.claims.devices:
        raise NotApplicable("no device is claimed: give Claims(devices='2xA5000'), or use gonogo size")
    [(count, device), *_] = devices.parse(session.claims.devices)
    chosen = strategies.parse(session.claims.strategies, count)
    program = of_subject(session)
    given = samples(session.batches("train", limit=1)[0])
    tried: dict[int, Sizing] = {}
    for _ in range(TRIES + 1):
        rows = _next(tried, given)
        if rows is None:
            break
        tried[rows] = size(_with(program, rows, given), device, count, chosen, steps=2)
    largest = max((rows for rows, one in tried.items() if one.fit and one.headroom >= HEADROOM), default=0)
    table = tuple((rows, one.answer, one.needed / GIB) for rows, one in sorted(tried.items()))
    return Observation(
        {"room": Measurement(largest / given, n=len(tried)), "largest": Measurement(largest, "{row}")},
        (Table("Batches tried", ("rows", "answer", "needed, GiB"), table),),
    )


def _with(program: Program, rows: int, given: int) -> Program:
    return program if rows == given else batches.rows(program, rows)


def _next(tried: dict[int, Sizing], given: int) -> int | None:
    """Rows to try: the given ones, twice as many, then where a straight line reaches the limit."""
    if given not in tried:
        return given
    first = tried[given]
    if first.fit is None or first.headroom < HEADROOM:
        return None
    if 2 * given not in tried:
        return 2 * given
    known = sorted((rows, one.needed) for rows, one in tried.items() if one.fit is not None)
    (few, low), (many, high) = known[-2], known[-1]
    slope = (high - low) / (many - few)
    limit = first.device.memory_bytes * (1 - HEADROOM)
    if slope <= 0:
        return None
    wanted = int(min((few + (limit - low) / slope) // given, 4096)) * given
    return wanted if wanted > many and wanted not in tried and high < limit else None


@fault()
def larger_than_the_card(subject: Subject) -> Subject:
    """The loss compares every row with four billion others."""

    def change(loss: Loss) -> Loss:
        return lambda model, batch: loss(model, batch) + torch.zeros(4_000_000_000, device="cuda").sum()

    changed = subject.map_loss(change)
    return replace(changed, claims=replace(subject.claims, devices="1xT4"))
