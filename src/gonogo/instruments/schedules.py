"""Learning rates over a whole run without running it: the scheduler alone is stepped as often as the run steps it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from gonogo.errors import NotApplicable
from gonogo.instruments.own_steps import OwnSteps
from gonogo.training import batch as nested
from gonogo.training.session import Session

WINDOWS = 4  # updates after which the pace of the scheduler is known
LONGEST = 100_000  # scheduler steps that are simulated


@dataclass(frozen=True, slots=True)
class Pace:
    """How the run's own step moves its scheduler: `steps` per update, and some `before` the first optimizer step."""

    steps: float
    before: int


def pace(session: Session) -> Pace:
    """The pace of the subject's scheduler, from a few updates.

    Raises:
        NotApplicable: There is no scheduler that counts its steps.
    """
    own = OwnSteps(session)
    scheduler = _scheduler(session, own)
    positions: list[int] = []
    start = int(scheduler.last_epoch)
    before: list[int] = []
    handle = own.optimizers[0].register_step_pre_hook(lambda *_: before.append(int(scheduler.last_epoch)))
    batches = session.batches("train", limit=4)
    with handle, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of schedulers that move first; that is measured here
        while len(positions) <= WINDOWS and session.seconds_left > 0 and own.until_update(batches):
            positions.append(int(scheduler.last_epoch))
    if len(positions) < 2:
        raise NotApplicable("the subject's step never called optimizer.step()")
    first_calls = own.updates[0].call + 1
    # Micro-batches before the first update may have moved it as well: then it is too fast, not too early.
    early = before[0] - start if first_calls == 1 else 0
    return Pace((positions[-1] - positions[0]) / (len(positions) - 1), early)


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
    return (epochs * each, False) if epochs and each else (None, False)


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
    if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
        raise NotApplicable(f"a {type(scheduler).__name__} does not follow a plan that can be run ahead")
    return scheduler


def _rate(own: OwnSteps) -> float:
    return max(float(group["lr"]) for one in own.optimizers for group in one.param_groups)
