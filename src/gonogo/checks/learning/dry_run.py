"""The program itself must get through its first minutes."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.evaluation import evaluations
from gonogo.training import batch as nested
from gonogo.training import blame, seeding
from gonogo.training.session import Session
from gonogo.training.subject import Subject

CALLS = 300
EPOCHS = 2  # what is wrong at the end of an epoch often shows at the end of the second


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    criteria=[at_most("raised", fail=0, source="exact: the run would have ended here")],
    since="0.3",
)
def dry_run(session: Session, *, seconds: float = 2.0) -> Observation:
    """The program gets through its first steps | The program raises an error

    What: builds model and optimizer, takes steps of the run's own step function on its own batches for two epochs, at
        most `seconds` and 300 steps, and then calls its evaluate and save functions, as the run would. `raised` is 1 if
        that ended in an exception of the program. Exceptions that speak of memory, files, packages or devices may be
        the machine's fault: there the check ends in ERROR instead.
    Why: an exception in the second epoch, or in the first validation, costs the queue, the start-up and the hours
        between. A check that the exception keeps from measuring cannot say what else is wrong.
    Fix: read the last line of the traceback and the place given with it; run the check again with --only
        learning.dry-run.
    Shapes: any.
    Units: raised: 1.
    Source: ours; Lightning's fast_dev_run and sanity validation steps do likewise.
    """
    done: list[tuple[str, int]] = []
    try:
        for phase, number in _live(session, seconds):
            done.append((phase, number))
    except Exception as error:
        if not blame.is_programs(error):
            raise
        phase, number = done[-1]
        return _observed(done, (phase, number, f"{type(error).__name__}: {error}"[:500], blame.origin(error)))
    return _observed(done, None)


def _live(session: Session, seconds: float) -> Iterator[tuple[str, int]]:
    """What the program is about to do, each before it is done."""
    stop = session.seconds_left - seconds
    last = min(CALLS, session.claims.total_steps or CALLS)
    with seeding.seeded(session.seed):
        yield "build", 0
        model = session.build_model()
        optimizer = session.build_optimizer(model)
        yield "read", 0
        for count, batch in enumerate(_batches(session)):
            yield "step", count
            session.step(nested.to(nested.clone(batch), session.device), model, optimizer)
            if count + 1 == last or session.seconds_left < stop:
                break
            yield "read", count + 1
    if session.subject.evaluate is not None:
        yield "evaluate", 0
        _evaluate(session, model, seconds)
    if C.SAVE in session.subject.provides():
        yield "save", 0
        with contextlib.suppress(OSError), tempfile.TemporaryDirectory(prefix="gonogo-") as folder:
            session.save(model, optimizer, Path(folder))


def _batches(session: Session) -> Iterator[Any]:
    for _ in range(EPOCHS):
        yield from session.loader("train")


def _evaluate(session: Session, model: nn.Module, seconds: float) -> None:
    splits = session.subject.splits
    view = session.narrowed(session.needs, seconds)
    with contextlib.suppress(NotApplicable):  # it takes longer
        evaluations.evaluate(view, model, loader=(splits.get("valid") or splits["train"]).batches())


def _observed(done: list[tuple[str, int]], raised: tuple[Any, ...] | None) -> Observation:
    counts = [(phase, sum(name == phase for name, _ in done)) for phase in dict.fromkeys(name for name, _ in done)]
    return Observation(
        {"raised": Measurement(int(raised is not None), n=len(done))},
        (
            Table("What was raised", ("during", "number", "error", "place"), (raised,) if raised else ()),
            Table("What was done", ("phase", "times"), tuple(counts)),
        ),
    )


@fault()
def undefined_name(subject: Subject) -> Subject:
    """A line of the loss reads a name that nobody gave a value."""

    def change(loss: Callable[..., Any]) -> Callable[..., Any]:
        def broken(model: nn.Module, batch: Any) -> Any:
            return loss(model, batch) * not_defined_anywhere  # type: ignore[name-defined] # noqa: F821

        return broken

    return replace(subject.map_loss(change), step=None)


@fault(toy="stream")
def second_epoch(subject: Subject) -> Subject:
    """The step has kept something for two calls only."""
    calls: list[int] = []

    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        calls.append(1)
        return [0.0, 0.0][len(calls) - 1]

    return replace(subject, step=step)
