"""The detection matrix: every healthy toy and every fault against every check. It is reviewed like code."""

from collections.abc import Callable, Sequence
from importlib import resources

from gonogo.core.catalogue import load_index
from gonogo.core.check import Check, Fault
from gonogo.core.criterion import Status
from gonogo.core.judge import judge_outcome
from gonogo.core.plan import Step, make_plan
from gonogo.core.profile import Profile
from gonogo.execution.drill import answer
from gonogo.execution.supervisor import Request, Workers

TOYS = "gonogo.testing.toys"
MARKS = {Status.PASS: ".", Status.SKIP: "-", Status.WARN: "w", Status.FAIL: "F", Status.ERROR: "E"}
MISSED, ALARM = "MISSED", "ALARM"


def toy_names() -> list[str]:
    """Names of the toys, read from their files: importing them would import torch."""
    files = resources.files("gonogo.testing").joinpath("toys").iterdir()
    stems = (file.name.removesuffix(".py") for file in files if file.name.endswith(".py"))
    return sorted(stem for stem in stems if stem not in ("__init__", "parts"))


def matrix(checks: Sequence[Check], profile: Profile, listen: Callable[[str], None]) -> str:
    """The detection matrix: healthy toys and faults by row, checks by column, as text for review."""
    return _Matrix(checks, profile, listen).text()


class _Matrix:
    def __init__(self, checks: Sequence[Check], profile: Profile, listen: Callable[[str], None]) -> None:
        self.checks, self.profile, self.listen = checks, profile, listen
        self.lines: list[str] = []

    def text(self) -> str:
        self._head()
        for toy in toy_names():
            self._toy(toy)
        return "\n".join(self.lines)

    def _head(self) -> None:
        self.lines += [
            "Detection matrix: what every check answers to healthy toys and to every fault.",
            ". pass   w warn   F fail   E error   - does not apply",
            "",
            *(f"{number:>3} {check.id}" for number, check in enumerate(self.checks, 1)),
            "",
            f"{'':<58}" + "".join(f"{number:>3}" for number in range(1, len(self.checks) + 1)),
        ]

    def _toy(self, toy: str) -> None:
        workers = Workers(Request(f"{TOYS}:{toy}", self.profile, device="cpu"))
        try:
            workers.start()
            plan = make_plan(load_index(), self.profile, workers.hello["provides"])
            steps = {step.check.id: step for step in plan.steps}
            self._row(f"healthy {toy}", steps, workers, None, None)
            for owner in self.checks:
                for fault in owner.faults:
                    if fault.toy == toy:
                        self._row(f"{owner.id} {fault.name}", steps, workers, owner, fault)
        finally:
            workers.close()

    def _row(
        self, name: str, steps: dict[str, Step], workers: Workers, owner: Check | None, fault: Fault | None
    ) -> None:
        self.listen(name)
        marks, note = [], ""
        for check in self.checks:
            status = self._status(steps[check.id], workers, owner, fault)
            marks.append(MARKS[status])
            if fault and owner and check.id == owner.id and status is not fault.expect:
                note = f"  {MISSED}: expected {MARKS[fault.expect]}"
            if fault is None and status > Status.SKIP:
                note = f"  {ALARM}"
        self.lines.append(f"{name:<58}" + "".join(f"{mark:>3}" for mark in marks) + note)

    def _status(self, step: Step, workers: Workers, owner: Check | None, fault: Fault | None) -> Status:
        if step.skip:
            return Status.SKIP
        if owner is None or fault is None:
            outcome = workers.measure(step, self.profile.time_limit.of(step.check.effort))
            return judge_outcome(step, outcome, self.profile).status
        return answer(workers, step, owner, fault, self.profile).status
