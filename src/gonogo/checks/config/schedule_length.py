"""A schedule that is shorter, or longer, than the run."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.settings import Setting, number, only, read, settings
from gonogo.training.subject import Subject

Row = tuple[str, str, str]  # keys, what they say, kind


@check(
    needs={C.CONFIG},
    effort=Effort.READ,
    criteria=[
        at_most("endless_warmup", fail=0, source="arithmetic: the configured learning rate is never reached"),
        at_most("doubtful", warn=0, source="ours: a schedule may be meant for another length than the run"),
    ],
    since="0.1",
)
def schedule_length(session: Session) -> Observation:
    """The schedule fits the length of the run | The schedule does not fit the length of the run

    What: `endless_warmup` counts warm-ups that are configured to be longer than the whole run, in the same unit.
        `doubtful` counts warm-ups as long as the run, a period of zero, and a configured number of steps that is not
        the number of batches x epochs / accumulation.
    Why: with a warm-up that outlasts the run the learning rate never arrives; with a period of zero or of the wrong
        length a cosine divides by zero, ends early or rises again.
    Fix: derive the number of steps from the loader: epochs x ceil(batches / accumulation).
    Shapes: one row per pair of values.
    Units: endless_warmup, doubtful: {value} (n: pairs compared).
    Source: pytorch.org CosineAnnealingLR; huggingface/transformers issue 33455 (steps under accumulation).
    """
    found = settings(read(session.subject.config))
    rows = [*_warm_ups(found), *_periods(found), *_steps(found, session)]
    if not rows:
        raise NotApplicable("the configuration says nothing of warm-up, period or number of steps")
    table = Table("Lengths", ("keys", "values", "is"), tuple(rows))
    counts = {name: sum(row[2] == name for row in rows) for name in ("endless_warmup", "doubtful")}
    return Observation({name: Measurement(count, "{value}", n=len(rows)) for name, count in counts.items()}, (table,))


def _warm_ups(found: Sequence[Setting]) -> Iterator[Row]:
    for kind in ("steps", "epochs"):
        warm, whole = only(found, f"warmup_{kind}"), only(found, kind)
        begin, end = _size(warm), _size(whole)
        if warm is not None and whole is not None and begin >= 1 and end > 0:
            verdict = "endless_warmup" if begin > end else "doubtful" if begin == end else "fitting"
            yield _row((warm, whole), verdict)


def _periods(found: Sequence[Setting]) -> Iterator[Row]:
    period = only(found, "period")
    if period is not None:
        yield _row((period,), "doubtful" if _size(period) == 0 else "fitting")


def _steps(found: Sequence[Setting], session: Session) -> Iterator[Row]:
    steps, epochs, times = only(found, "steps"), only(found, "epochs"), only(found, "accumulation")
    batches = _batches(session)
    if steps is None or epochs is None or not batches or min(_size(steps), _size(epochs)) < 1:
        return
    if {"max_steps", "max_epochs"} & {steps.name, epochs.name}:
        return  # limits: whichever comes first
    per = max(1.0, _size(times) or float(session.claims.accumulation))
    least, most = batches // per * _size(epochs), -(-batches // per) * _size(epochs)
    fitting = least <= _size(steps) <= most or _size(steps) in (batches * _size(epochs) // per, batches * _size(epochs))
    yield _row((steps, epochs), "fitting" if fitting else "doubtful", f"{batches} batches")


def _batches(session: Session) -> int:
    split = session.subject.splits.get("train")
    try:
        return len(split.batches()) if split is not None else 0  # type: ignore[arg-type]
    except (TypeError, NotImplementedError):
        return 0


def _size(one: Setting | None) -> float:
    return (number(one.value) or 0.0) if one is not None else 0.0


def _row(of: Sequence[Setting], kind: str, *more: Any) -> Row:
    return ", ".join(one.path for one in of), ", ".join([*(str(one.value) for one in of), *map(str, more)]), kind


@fault()
def warm_up_outlasts_the_run(subject: Subject) -> Subject:
    """The learning rate would be reached after the end of the run."""
    return replace(subject, config={**read(subject.config), "warmup_epochs": 20})


@fault(expect=Status.WARN)
def steps_without_accumulation(subject: Subject) -> Subject:
    """The number of steps was taken from another run."""
    return replace(subject, config={**read(subject.config), "total_steps": 4000})
