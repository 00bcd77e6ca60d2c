"""Fire drills: faults are injected on purpose, and the checks must find them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gonogo.core.catalogue import load_index
from gonogo.core.check import Check, Fault
from gonogo.core.criterion import Status
from gonogo.core.judge import judge_outcome
from gonogo.core.plan import Skip, Step, make_plan
from gonogo.core.profile import Profile
from gonogo.core.report import Result
from gonogo.execution.supervisor import Request, Workers, check_to_dict


@dataclass(frozen=True, slots=True)
class Cell:
    """What a check answered to a fault."""

    fault: str
    status: Status
    expected: Status
    reason: str

    @property
    def possible(self) -> bool:
        """Could the fault be injected, and the check run? Some faults do not fit a subject, and break it."""
        return self.status not in (Status.SKIP, Status.ERROR)

    @property
    def caught(self) -> bool:
        """Did the check answer at least as severely as it promised?"""
        return self.possible and self.status >= self.expected


def drill(request: Request, checks: Sequence[Check], say: Callable[[Check, Cell], None]) -> Iterator[Cell]:
    """Each fault of each check, injected into the user's own subject, answered by its own check."""
    workers = Workers(request)
    try:
        workers.start()
        plan = make_plan(load_index(), request.profile, workers.hello["provides"])
        # A fault may bring what its check needs (a step function, say), so missing parts are no obstacle here.
        wanted = (step for step in plan.steps if step.skip in (None, Skip.MISSING) and step.check in checks)
        for step in wanted:
            for fault in step.check.faults:
                cell = _drilled(workers, step, fault, request.profile)
                say(step.check, cell)
                yield cell
    finally:
        workers.close()


def _drilled(workers: Workers, step: Step, fault: Fault, profile: Profile) -> Cell:
    result = answer(workers, step, step.check, fault, profile)
    cell = Cell(fault.name, result.status, fault.expect, result.reason)
    # What costs time or memory alone changes no number, and is there all the same.
    seen = step.check.category != "efficiency" and cell.possible and not cell.caught
    if seen and not workers.took(_damage(step.check, fault)):
        return Cell(fault.name, Status.SKIP, fault.expect, "it changes nothing here: what it damages is not there")
    return cell


def _damage(check: Check, fault: Fault) -> dict[str, Any]:
    return {"check": check_to_dict(check), "fault": fault.name}


def answer(workers: Workers, step: Step, owner: Check, fault: Fault, profile: Profile) -> Result:
    """What the check of `step` says of the loaded subject with a fault of `owner`'s file."""
    outcome = workers.measure(step, profile.time_limit.of(step.check.effort), _damage(owner, fault))
    return judge_outcome(step, outcome, profile)
