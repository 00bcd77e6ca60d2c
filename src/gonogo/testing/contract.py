"""What every check must satisfy, ours and those of plug-ins: one function proves it, from the catalogue alone."""

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gonogo.core.catalogue import Catalogue, discover, fault_function
from gonogo.core.check import Check, Fault
from gonogo.core.criterion import Status
from gonogo.core.judge import judge_outcome, skipped
from gonogo.core.plan import Step, make_plan
from gonogo.core.profile import Profile
from gonogo.core.report import Result
from gonogo.execution.measure import Bench
from gonogo.testing.toys import TOYS
from gonogo.training import fingerprint
from gonogo.training.session import Session
from gonogo.training.subject import Subject

MAX_LINES = 150
SECONDS = 120.0
_MACHINE = ("environment", "efficiency")  # categories that measure the machine: no seed repeats its memory or its load


def assert_contract(package: str) -> None:
    """Refuse a package of checks that breaks the contract; all that plug-in authors need in their tests.

    Raises:
        AssertionError: With every breach, one per line.
    """
    found = [problem for check in discover(package) for problem in problems(check)]
    assert not found, "\n".join(found)


def problems(check: Check) -> list[str]:
    """Every breach of the contract by one check."""
    return [*form(check), *(p for toy in TOYS for p in on_healthy(check, toy)), *on_faults(check)]


def form(check: Check) -> Iterator[str]:
    """Breaches that can be read off the file."""
    lines = len(Path(inspect.getsourcefile(importlib.import_module(check.module)) or "").read_text().splitlines())
    if lines > MAX_LINES:
        yield f"{check.id}: its file has {lines} lines, at most {MAX_LINES} are allowed"
    if not check.criteria:
        yield f"{check.id}: it has no criterion, so it is an instrument"
    for criterion in check.criteria:
        if not criterion.source:
            yield f"{check.id}: the limit of {criterion.measure} has no source"
    for fault in check.faults:
        if fault.toy not in TOYS:
            yield f"{check.id}: the fault {fault.name} wants the toy {fault.toy!r}; there are: {', '.join(TOYS)}"


def on_healthy(check: Check, toy: str) -> Iterator[str]:
    """Breaches on one healthy toy: an accusation, a trace, or another answer the second time."""
    subject = TOYS[toy]()
    before = fingerprint.of_process()
    first, second = answer(check, subject), answer(check, subject)
    if first.status > Status.SKIP:
        yield f"{check.id} on the healthy toy {toy}: {first.status.name}: {first.reason}"
    changed = fingerprint.changed(before, fingerprint.of_process())
    if changed:
        yield f"{check.id} on {toy}: changed {', '.join(changed)}"
    values = [_values(result) if check.category not in _MACHINE else {} for result in (first, second)]
    if (first.status, values[0]) != (second.status, values[1]):
        yield f"{check.id} on {toy}: two runs differ: {_values(first)} and {_values(second)}"
    if first.observation:
        missing = {c.measure for c in check.criteria} - set(first.observation.measurements)
        if missing == {c.measure for c in check.criteria}:
            yield f"{check.id} on {toy}: returned none of {', '.join(sorted(missing))}"


def on_faults(check: Check) -> Iterator[str]:
    """Breaches on the check's own faults."""
    for fault in check.faults:
        result = answer_to_fault(check, fault)
        if result.status is not fault.expect:
            got = f"{result.status.name} ({result.reason})"
            yield f"{check.id} on its fault {fault.name}: {got}, expected {fault.expect.name}"


def answer_to_fault(check: Check, fault: Fault) -> Result:
    """What a check says of the toy with its fault."""
    return answer(check, fault_function(check, fault)(TOYS[fault.toy]()))


def answer(check: Check, subject: Subject) -> Result:
    """What a check says of a subject, measured here in this process."""
    profile = Profile(select=("",))
    alone = replace(check, after=())
    [step] = make_plan(Catalogue((alone,)), profile, subject.provides()).steps
    return _measured(step, subject, profile)


def _measured(step: Step, subject: Subject, profile: Profile) -> Result:
    if step.skip:
        return skipped(step, step.skip, step.reason, profile)
    outcome = Bench(Session(subject)).measure(step.check, step.params, SECONDS)
    return judge_outcome(step, outcome, profile)


def _values(result: Result) -> dict[str, float | None]:
    """The measured values but for times and rates, which no seed repeats."""
    measured = result.observation.measurements if result.observation else {}
    return {name: m.value for name, m in measured.items() if m.unit != "s" and not m.unit.endswith("/s")}
