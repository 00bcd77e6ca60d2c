"""The detection matrix: every healthy toy and every fault against every check. It is reviewed like code."""

from collections.abc import Callable, Sequence
from importlib import resources
from itertools import groupby

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
    return sorted(stem for stem in stems if not stem.startswith(("_", "parts")))


def matrix(checks: Sequence[Check], profile: Profile, listen: Callable[[str], None], *, full: bool = False) -> str:
    """Healthy toys and faults by row, checks by column, as text for review.

    A fault is shown to its own check; with `full` to all of them, which takes as many runs as there are faults.
    """
    return _Matrix(checks, profile, listen, full).text()


class _Matrix:
    def __init__(self, checks: Sequence[Check], profile: Profile, listen: Callable[[str], None], full: bool) -> None:
        self.checks, self.profile, self.listen, self.full = checks, profile, listen, full
        self.lines: list[str] = []

    def text(self) -> str:
        self._head()
        for toy in toy_names():
            self._toy(toy)
        return "\n".join(self.lines)

    def _head(self) -> None:
        self.lines += [
            "Detection matrix: what checks answer to healthy toys and to faults.",
            ". pass   w warn   F fail   E error   - does not apply   (space: not asked)",
            "",
        ]
        for category, group in groupby(self.checks, key=lambda check: check.category):
            self.lines.append(f"{category}: {' '.join(check.id.rsplit('.', 1)[1] for check in group)}")
        self.lines.append("")

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
        marks, note = "", ""
        for place, check in enumerate(self.checks):
            if place and check.category != self.checks[place - 1].category:
                marks += " "
            if fault and owner and check.id != owner.id and not self.full:
                marks += " "
                continue
            status = self._status(steps[check.id], workers, owner, fault)
            marks += MARKS[status]
            note = self._note(check, status, owner, fault) or note
        self.lines.append(f"{name:<72}{marks}{note}".rstrip())

    def _note(self, check: Check, status: Status, owner: Check | None, fault: Fault | None) -> str:
        if fault is None:
            return f"  {ALARM}: {check.id}" if status > Status.SKIP else ""
        mine = owner is not None and check.id == owner.id
        return f"  {MISSED}: expected {MARKS[fault.expect]}" if mine and status is not fault.expect else ""

    def _status(self, step: Step, workers: Workers, owner: Check | None, fault: Fault | None) -> Status:
        if step.skip and (owner is None or owner.id != step.check.id):  # a fault may bring what its own check needs
            return Status.SKIP
        if owner is None or fault is None:
            outcome = workers.measure(step, self.profile.time_limit.of(step.check.effort))
            return judge_outcome(step, outcome, self.profile).status
        return answer(workers, step, owner, fault, self.profile).status
