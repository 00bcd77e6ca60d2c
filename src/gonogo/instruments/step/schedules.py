"""Learning rates over a whole run without running it: the scheduler alone is stepped as often as the run steps it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from gonogo.errors import NotApplicable
from gonogo.instruments.step import own_steps
from gonogo.instruments.step.own_steps import OwnSteps
from gonogo.training import batch as nested
from gonogo.training.session import Session

WINDOWS = 4  # updates after which the pace of the scheduler is known
LONGEST = 100_000  # scheduler steps that are simulated
WARM_UP = 5.0  # times: a rate that rises so far in what it would still do has only begun
AHEAD = 1000  # scheduler steps in which a warm-up shows


@dataclass(frozen=True, slots=True)
class Pace:
    """How the run's own step moves its scheduler: `steps` per update, and some `before` the first optimizer step."""

    steps: float
    before: int
    window: float = 1.0  # calls per update
    evaluated: bool = False  # evaluation moves it


def pace(session: Session) -> Pace:
    """The pace of the subject's scheduler, from a few updates.

    Raises:
        NotApplicable: There is no scheduler that counts its steps.
    """
    own = OwnSteps(session)
    scheduler = _scheduler(session, own)
    positions: list[int] = []
    calls: list[int] = []
    start = int(scheduler.last_epoch)
    before: list[int] = []
    handle = own.optimizers[0].register_step_pre_hook(lambda *_: before.append(int(scheduler.last_epoch)))
    batches = session.batches("train", limit=4)
    with handle, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of schedulers that move first; that is measured here
        while len(positions) <= WINDOWS and session.seconds_left > 0 and own.until_update(batches):
            positions.append(int(scheduler.last_epoch))
            calls.append(own.calls)
    if len(positions) < 2:
        raise NotApplicable("the subject's step never called optimizer.step()")
    first_calls = own.updates[0].call + 1
    # Micro-batches before the first update may have moved it as well: then it is too fast, not too early.
    early = before[0] - start if first_calls == 1 else 0
    steps, window = ((line[-1] - line[0]) / (len(line) - 1) for line in (positions, calls))
    return Pace(steps, early, window, evaluated=not steps and _evaluation_moves(session, own, scheduler))


def _evaluation_moves(session: Session, own: OwnSteps, scheduler: Any) -> bool:
    if session.subject.evaluate is None:
        return False
    before = int(scheduler.last_epoch)
    own_steps.evaluate(session, own.model)
    return int(scheduler.last_epoch) != before


def unmoved(session: Session, pace: Pace) -> tuple[bool, bool]:
    """Does nothing that is seen move a scheduler that must move within an epoch, and is that certain?

    One cycle and cyclic rates are made to be stepped per batch; with fewer steps than two epochs have updates, or than
    there are epochs, they may be stepped per epoch, where nobody looks. Any other scheduler may; a warm-up seldom is.
    """
    if pace.steps or pace.evaluated:
        return False, True
    own = OwnSteps(session)
    scheduler, first = _scheduler(session, own), max(_rate(own), 1e-30)
    length = own_length(scheduler) or (scheduler.total_size if isinstance(scheduler, CyclicLR) else 0)
    if isinstance(scheduler, OneCycleLR | CyclicLR):
        each = updates_per_epoch(session)
        sure = bool(each) and length >= 2 * (each or 0) and length > (_epochs(session.subject.config) or 0)
        return True, sure
    return max(rates(session, AHEAD, 1.0)) / first >= WARM_UP, False


def own_length(scheduler: Any) -> int:
    """The steps after which a scheduler says that it is at its end; 0 where it does not say."""
    parts, places = getattr(scheduler, "_schedulers", ()), getattr(scheduler, "_milestones", ())
    if parts and len(places) == len(parts) - 1:  # one after another
        return places[-1] + own_length(parts[-1]) if places and own_length(parts[-1]) else 0
    lengths = [getattr(scheduler, name, None) for name in ("total_steps", "T_max", "total_iters")]
    return next((int(length) for length in lengths if isinstance(length, int | float) and length > 0), 0)


def rates(session: Session, updates: int, per_update: float) -> list[float]:
    """The highest learning rate of all groups before the first and after each of `updates` updates.

    Shorter than that if the scheduler refuses to go on.
    """
    own = OwnSteps(session)
    scheduler = _scheduler(session, own)
    if updates * max(per_update, 1e-9) > LONGEST or updates > LONGEST:
        raise NotApplicable(f"more than {LONGEST:,} scheduler steps are planned")
    found, taken = [_rate(own)], 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing is optimized here, which the scheduler notices
        for update in range(1, updates + 1):
            try:
                while taken + 1 <= update * per_update + 1e-6:
                    scheduler.step()
                    taken += 1
            except ValueError:  # it was told how many steps there would be
                break
            found.append(_rate(own))
    return found


def planned(session: Session) -> tuple[int | None, bool]:
    """The number of updates of the whole run, and whether it is claimed (or only follows from the configuration)."""
    if session.claims.total_steps:
        return session.claims.total_steps, True
    epochs, each = _epochs(session.subject.config), updates_per_epoch(session)
    if epochs and each:
        return epochs * each, False
    own = OwnSteps(session)
    length, steps = own_length(_scheduler(session, own)), per_update(session, pace(session).steps)
    return (max(round(length / steps), 1), False) if length and steps else (None, False)


def per_update(session: Session, steps: float) -> float:
    """Steps of the scheduler per update; of one that the step does not move, once per epoch."""
    epoch = updates_per_epoch(session)
    return steps or (1 / epoch if epoch else 1.0)


def updates_per_epoch(session: Session) -> int | None:
    """Batches of the training split over the accumulation window."""
    loader: Any = session.loader("train")
    try:
        return max(len(loader) // max(session.claims.accumulation, 1), 1)
    except TypeError:  # a stream has no length
        return None


def _epochs(config: Any) -> int | None:
    leaves = nested.walk(config) if isinstance(config, Mapping) else ()
    names = ("epochs", "num_epochs", "max_epochs", "n_epochs")
    found = [v for path, v in leaves if path.rsplit(".", 1)[-1] in names and type(v) is int and v > 0]
    return found[0] if len(found) == 1 else None


def _scheduler(session: Session, own: OwnSteps) -> Any:
    scheduler = session.parts(own.model, own.optimizer).get("scheduler")
    if scheduler is None:
        raise NotApplicable("the subject has no scheduler among its parts")
    scheduler = getattr(scheduler, "scheduler", scheduler)  # Accelerate's wrapper has it inside
    if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
        raise NotApplicable(f"a {type(scheduler).__name__} does not follow a plan that can be run ahead")
    return scheduler


def _rate(own: OwnSteps) -> float:
    return max(float(group["lr"]) for one in own.optimizers for group in one.param_groups)
