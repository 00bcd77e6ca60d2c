"""A learning rate of zero teaches nothing; one that has exploded destroys."""

import math

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.recorded import altered, edited, recorded

LEAST, TINY = 10, 1e-8


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("zero_from_the_start", warn=0, fail=1, source="exact: no step moved anything; a warm-up by epochs may"),
        at_most(
            "zero_at_the_end", fail=9, source="exact: ten steps and more that move nothing, while training goes on"
        ),
        at_most("unheard", fail=0, source="exact: optimizers of torch read param_groups, and no attribute lr"),
        at_most("largest", warn=100.0, fail=1e3, source="ours: awd-lstm-lm trains at 30, and at 45 for long rows"),
    ],
    explains=("watch.trend", "watch.nonfinite"),
    since="0.6",
)
def learning_rate(session: Session) -> Observation:
    """The learning rate moves the weights | The learning rate is zero, or has exploded

    What: reads the learning rate that each step had. `zero_from_the_start` is 1 for an optimizer that never had another
        rate than zero while a schedule has yet to begin, 2 where nothing raised it. `zero_at_the_end` is how many of
        the last steps had less than 10^-8 of the largest rate, all but the very last. `unheard` counts optimizers of
        torch on which `optimizer.lr = ...` was set, which changes nothing. `largest` is the largest rate.
    Why: the loss of the first epochs still moves by dropout and batch order, so a rate of zero looks like training.
    Fix: set group["lr"] for each of optimizer.param_groups; count warm-up and decay in steps if the scheduler is
        stepped per batch; a lambda of LambdaLR returns a factor of the rate, not a rate.
    Shapes: any.
    Units: zero_from_the_start: {level}; zero_at_the_end: {step}; unheard: {optimizer}; largest: 1.
    Source: ours.
    """
    recording = recorded(session.subject)
    paths = {
        number: [max((abs(rate) for rate in event["lr"]), default=math.nan) for event in steps]
        for number, steps in evidence.steps_of(recording).items()
        if len(steps) >= LEAST and all(event["lr"] for event in steps)
    }
    if not paths:
        raise NotApplicable(f"no optimizer with a learning rate took {LEAST} steps")
    waiting = {event["optimizer"] for event in recording.of("scheduler")} if len(recording.of("tick")) < 3 else set()
    dead = [2 - (number in waiting) for number, path in paths.items() if max(path) == 0]
    measured = {
        "zero_from_the_start": Measurement(max(dead, default=0), "{level}"),
        "zero_at_the_end": Measurement(max(_asleep(path) for path in paths.values()), "{step}"),
        "unheard": Measurement(len({e["optimizer"] for e in recording.of("step") if "unheard" in e}), "{optimizer}"),
        "largest": Measurement(max(max(path) for path in paths.values())),
    }
    rows = [(step, path[step]) for path in list(paths.values())[:1] for step in range(len(path))]
    line = Table("Learning rate", ("step", "rate"), tuple(rows), kind="line")
    return evidence.observed(measured, [line, evidence.optimizers(recording)])


def _asleep(path: list[float]) -> int:
    if max(path) == 0:
        return 0
    awake = [index for index, rate in enumerate(path) if rate > TINY * max(path)]
    return len(path) - 1 - awake[-1]


@fault(toy="watched")
def zero_for_ever(subject: Subject) -> Subject:
    """The schedule's factor is zero."""
    return altered(subject, "step", lr=[0.0])


@fault(toy="watched")
def set_where_nobody_looks(subject: Subject) -> Subject:
    """optimizer.lr = 0.01"""
    return altered(subject, "step", unheard=True)


@fault(toy="watched")
def exploded(subject: Subject) -> Subject:
    """The rate grows by a factor in every step."""
    return altered(subject, "step", lr=[1e6])


@fault(toy="watched")
def decays_per_batch(subject: Subject) -> Subject:
    """A decay that was meant per epoch is applied per batch."""
    return edited(subject, lambda e: {**e, "lr": [0.1 ** e["step"]]} if e["kind"] == "step" else e)
