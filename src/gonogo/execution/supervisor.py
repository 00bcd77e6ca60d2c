"""Plan -> report: asks worker processes to measure, judges, journals. Never imports torch.

Whatever user code does to its worker costs the check that ran at that moment, and no other.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from pydantic import TypeAdapter

from gonogo import __version__
from gonogo.core import judge
from gonogo.core.catalogue import Catalogue, from_json, load_index, plugin_names
from gonogo.core.check import Check
from gonogo.core.plan import Plan, Skip, Step, make_plan
from gonogo.core.profile import Profile
from gonogo.core.report import Failure, Outcome, Report, Result, outcome_from_dict
from gonogo.errors import SubjectError
from gonogo.execution import provenance
from gonogo.execution.journal import Journal
from gonogo.execution.process import WorkerDied, WorkerProcess

TOOK_SECONDS = 60.0
LOAD_SECONDS = 300.0  # importing torch and the user's project on a cold disk
GRACE = 5.0  # seconds beyond a check's own limit: checks that watch the clock end by themselves, with a result
_INTERRUPTED = "the run was interrupted before this check had its result; continue with --resume"

_CHECK = TypeAdapter(Check)
Listener = Callable[[Step, Result | None], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for."""

    subject: str
    profile: Profile
    overrides: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    resume: bool = False

    @property
    def head(self) -> dict[str, Any]:
        """What must be equal for a run to be the continuation of another."""
        profile = self.profile.model_dump(mode="json")
        return {"subject": self.subject, "overrides": dict(self.overrides), "device": self.device, "profile": profile}


def check_to_dict(check: Check) -> dict[str, Any]:
    """A check as a worker wants it."""
    return _CHECK.dump_python(check, mode="json")


class Workers:
    """The one live worker, and its successor when it dies."""

    def __init__(self, request: Request) -> None:
        self._request = request
        limit = request.profile.memory_limit
        self._memory = limit if limit is not None else 0.8 * psutil.virtual_memory().available
        self._live: WorkerProcess | None = None
        self.hello: dict[str, Any] = {}

    def start(self) -> WorkerProcess:
        """The live worker with the subject loaded; starts one if there is none.

        Raises:
            SubjectError: The subject cannot be loaded.
        """
        if self._live is None:
            worker = WorkerProcess(self._memory)
            request = self._request
            load = {"subject": request.subject, "overrides": dict(request.overrides), "device": request.device}
            try:
                answer = worker.ask({"load": {**load, "seed": request.profile.seed}}, LOAD_SECONDS)
            except WorkerDied as died:
                raise SubjectError(f"{request.subject}: while it was loaded, {died}{_last_words(died)}") from None
            except BaseException:
                worker.close()
                raise
            if "refused" in answer:
                worker.close()
                raise SubjectError(answer["refused"])
            self._live, self.hello = worker, answer["hello"]
        return self._live

    def measure(self, step: Step, seconds: float, damage: Mapping[str, Any] | None = None) -> Outcome:
        """The outcome of one check, a dead worker's included."""
        started = time.monotonic()
        message = {
            "check": check_to_dict(step.check),
            "params": dict(step.params),
            "seconds": seconds,
        }
        if damage:
            message["damage"] = damage
        try:
            answer = self.start().ask({"measure": message}, seconds, GRACE)
        except WorkerDied as died:
            self._live = None
            return Outcome(failure=died.failure, seconds=time.monotonic() - started)
        return outcome_from_dict(answer["outcome"])

    def took(self, damage: Mapping[str, Any]) -> bool:
        """Does the damage change anything in the loaded subject? What cannot be told counts as yes."""
        try:
            return bool(self.start().ask({"took": dict(damage)}, TOOK_SECONDS)["took"])
        except (WorkerDied, SubjectError, KeyError):
            self._live = None
            return True

    def data_fingerprint(self) -> dict[str, str]:
        """What the worker knows about the data; nothing if it cannot tell."""
        try:
            return self.start().ask({"fingerprint": {}}, 30.0).get("data", {})
        except (WorkerDied, SubjectError):
            self._live = None
            return {}

    def close(self) -> None:
        """End the live worker."""
        if self._live is not None:
            self._live.close()
            self._live = None


def _last_words(died: WorkerDied) -> str:
    """': ImportError: ...', the last line that the worker wrote to stderr; of a dumped stack `died` has the place."""
    lines = died.failure.stderr.splitlines()
    dumped = any("most recent call first" in line for line in lines)
    return f": {lines[-1].strip()}" if lines and not dumped else ""


def prepare(request: Request, workers: Workers) -> Plan:
    """The plan for the request; loads the subject."""
    if not plugin_names():  # else only the worker knows all checks
        make_plan(load_index(), request.profile, ())  # a wrong profile is refused before anything is loaded
    workers.start()
    catalogue: Catalogue = load_index() + from_json(workers.hello["plugins"])
    return make_plan(catalogue, request.profile, workers.hello["provides"])


def execute(request: Request, folder: Path, listen: Listener = lambda step, result: None) -> Report:
    """Run the plan; the report is complete even when the user interrupts it."""
    started, clock = datetime.now(tz=UTC), time.monotonic()
    workers = Workers(request)
    try:
        plan = prepare(request, workers)
        journal = Journal(folder, request.head, resume=request.resume)
        try:
            results, interrupted = _run(plan, request.profile, workers, journal, listen)
        finally:
            journal.close()
        data = {} if interrupted else workers.data_fingerprint()
    finally:
        workers.close()
    return Report(
        subject=workers.hello["name"],
        profile=request.profile.model_dump(mode="json"),
        results=judge.with_causes((*results, *(judge.broken_row(row.id, row.error) for row in plan.broken))),
        environment={**provenance.of_machine(), **workers.hello["training"]},
        provenance={
            "command": provenance.command(),
            "subject": request.subject,
            **provenance.of_code(Path.cwd()),
            **provenance.of_settings(request.overrides, request.head["profile"]),
            **data,
        },
        proxy=workers.hello["proxy"],
        notes=judge.notes(tuple(results), request.profile) + (("interrupted by the user",) if interrupted else ()),
        started=started.isoformat(timespec="seconds"),
        seconds=time.monotonic() - clock,
        gonogo=__version__,
    )


def _run(
    plan: Plan, profile: Profile, workers: Workers, journal: Journal, listen: Listener
) -> tuple[list[Result], bool]:
    """Results of all steps in order, and whether the user interrupted."""
    results: list[Result] = []
    state = State(profile, time.monotonic())
    for step in plan.steps:
        result = journal.done.get(step.check.id)
        try:
            if result is None:
                result = one(step, state, workers, listen)
                journal.add(result)
            listen(step, result)
        except KeyboardInterrupt:
            state.interrupted = True
            result = result or judge.skipped(step, Skip.INTERRUPTED, _INTERRUPTED, profile)
        state.done[step.check.id] = result
        results.append(result)
    return results, state.interrupted


@dataclass(slots=True)
class State:
    """What a run knows of itself while it goes on."""

    profile: Profile
    started: float
    done: dict[str, Result] = field(default_factory=dict)
    interrupted: bool = False

    def seconds_for(self, step: Step) -> float:
        """The time that the check may take: its own limit, or what is left of the budget."""
        limit = self.profile.time_limit.of(step.check.effort)
        if self.profile.budget is None:
            return limit
        return min(limit, self.profile.budget - (time.monotonic() - self.started))

    def obstacle(self, step: Step) -> tuple[Skip, str] | None:
        """Why the check cannot run now."""
        if step.skip:
            return step.skip, step.reason
        if self.interrupted:
            return Skip.INTERRUPTED, _INTERRUPTED
        blocker = judge.blocked_by(step, self.done)
        if blocker:
            return Skip.BLOCKED, blocker
        if self.seconds_for(step) <= 0:
            return Skip.OVER_BUDGET, f"the budget of {self.profile.budget:g} s was spent; raise --budget"
        return None


def one(step: Step, state: State, workers: Workers, listen: Listener = lambda step, result: None) -> Result:
    """The judged result of one step; `state.done` is for the caller to fill."""
    obstacle = state.obstacle(step)
    if obstacle:
        return judge.skipped(step, *obstacle, state.profile)
    listen(step, None)
    try:
        outcome = workers.measure(step, state.seconds_for(step))
    except SubjectError as error:
        outcome = Outcome(failure=Failure(f"the subject could not be loaded again: {error}"))
    return judge.judge_outcome(step, outcome, state.profile)
