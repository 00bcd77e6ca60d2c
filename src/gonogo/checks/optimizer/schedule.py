"""The learning rate must end where it was said to end."""

from dataclasses import replace
from typing import Any

from torch import nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.instruments.step import schedules
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_DECLARED = "ours: against what the subject claims; rounding of warm-up and last step is below it"
NEAR = 0.05


@check(
    needs={C.MODEL, C.OPTIMIZER, C.TRAIN, C.STEP},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps"),
    criteria=[
        at_most("final_gap", warn=0.01, fail=NEAR, source=_DECLARED),
        at_most("wrong_pace", fail=0, source="ours: at one step per update the same schedule does what was claimed"),
        at_most("exhausted", fail=0, source="ours: the scheduler refuses to go on before the claimed last update"),
        at_most("idle", warn=0.1, source="ours: updates at rate 0 do nothing"),
        at_most("rise", warn=0.1, source="ours: a cosine rises again when it is stepped past its end"),
        at_most("unmoved", fail=0, source="pytorch.org, OneCycleLR and CyclicLR: step after every batch"),
        at_most("per_micro_batch", warn=0, source="ours: a schedule that is counted in micro-batches is rare"),
        at_most("too_early", warn=0, source="pytorch.org, LRScheduler: optimizer.step() comes before scheduler.step()"),
    ],
    explains=("learning.", "optimizer.update-size"),
    since="0.1",
)
def schedule(session: Session) -> Observation:
    """The learning rate follows its plan | The learning rate does not follow its plan

    What: counts how often the run's own step moves its scheduler per update (where it does not: once per epoch), and
        steps the scheduler alone to the end of the run. `final_gap` is the distance of the last rate from the claimed
        one, relative to the highest; `wrong_pace` is 1 if only one scheduler step per update would reach it at the end;
        `exhausted` the share of updates for which the scheduler has no rate; `idle` the share at rate 0; `rise` how far
        the rate rises after its lowest point. `unmoved` is 1 if neither step nor evaluation moves one cycle or a
        warm-up (certain only where a scheduler is made for batches); `per_micro_batch` if it moves with every part of
        an update, `too_early` if before the first. A length that is the scheduler's own, not claimed, fails nothing.
    Why: a scheduler stepped per micro-batch, per process, per epoch in place of per step, or never, gives another run
        than the one that was planned, and nothing fails.
    Fix: call scheduler.step() once after each optimizer.step() (or once per epoch), and give it the number of updates,
        not of batches: len(loader) * epochs / accumulation.
    Shapes: any.
    Units: all: 1.
    Source: accelerate issues 963 and 2926, transformers issue 24088, diffusers issue 4387.
    """
    updates, claimed = schedules.planned(session)
    pace = schedules.pace(session)
    idle, sure = schedules.unmoved(session, pace)
    found = {
        "too_early": Measurement(int(pace.before > 0)),
        "unmoved": _sure(int(idle), sure),
        "per_micro_batch": Measurement(int(pace.steps == pace.window > 1)),
    }
    if updates is None:
        return Observation(found)
    rates = schedules.rates(session, updates, schedules.per_update(session, pace.steps))
    found |= {
        "exhausted": _sure(1 - len(rates) / (updates + 1), claimed and pace.steps > 0),
        "idle": Measurement(sum(not rate for rate in rates[1:-1]) / updates, n=updates),
        "rise": Measurement(_rise(rates), n=updates),
    }
    final = session.claims.final_lr
    if final is not None:
        found["final_gap"] = _sure(_gap(rates, final), claimed and len(rates) > updates)
        once = schedules.rates(session, updates, 1.0)
        found["wrong_pace"] = _sure(float(_wrong(rates, once, final, pace.steps)), claimed)
        if claimed and _gap(rates, final) < NEAR and not found["wrong_pace"].value:
            del found["per_micro_batch"]  # it arrives where it was said to: it is counted so
    line = tuple((index, rate) for index, rate in enumerate(rates))
    return Observation(found, (Table("Learning rate ahead", ("update", "learning rate"), line, kind="line"),))


def _sure(value: float, claimed: bool) -> Measurement:
    """What only follows from a guess at the length of the run decides nothing."""
    return Measurement(value, low=None if claimed else 0.0)


def _gap(rates: list[float], final: float) -> float:
    """Whether the claim means the rate of the last update or the one after it is left open."""
    return min(abs(rate - final) for rate in rates[-2:]) / (max(rates) or 1.0)


def _wrong(rates: list[float], once: list[float], final: float, steps: float) -> bool:
    """Would one step per update arrive at the end, where the run's own pace arrives long before it, or passes it?"""
    arrives = len(once) == max(len(rates), len(once)) and _gap(once, final) < NEAR
    return arrives and steps > 1.5 and _arrival(once, final) > 0.8 and _arrival(rates, final) < 0.8


def _arrival(rates: list[float], final: float) -> float:
    """Share of the run after which the rate is first near the final one, once it has been highest."""
    top = rates.index(max(rates))
    near = (i for i in range(top, len(rates)) if abs(rates[i] - final) < NEAR / 5 * max(rates))
    return next(near, len(rates)) / len(rates)


def _rise(rates: list[float]) -> float:
    top = rates.index(max(rates))
    low, rise = max(rates), 0.0
    for rate in rates[top:]:
        low = min(low, rate)
        rise = max(rise, rate - low)
    return rise / (max(rates) or 1.0)


def _after_each_call(subject: Subject, move: Any) -> Subject:
    """A copy whose step does something to the scheduler after each call."""
    step = subject._given("step")

    def moved(model: nn.Module, optimizer: Any, batch: Any) -> float:
        value = step(model, optimizer, batch)
        move(subject._given("parts")(model)["scheduler"])
        return value

    return replace(subject, step=moved)


@fault(toy="recipe")
def stepped_per_micro_batch(subject: Subject) -> Subject:
    """The scheduler moves at every micro-batch, not only at every update."""
    return _after_each_call(subject, lambda scheduler: scheduler.step())


@fault(toy="recipe")
def never_stepped(subject: Subject) -> Subject:
    """Nothing moves the scheduler."""
    return _after_each_call(subject, lambda scheduler: setattr(scheduler, "last_epoch", 0))
