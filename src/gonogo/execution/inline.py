"""`gonogo.run(subject)` for notebooks and tests: the same checks and judgement, in this process."""

import time
from dataclasses import replace
from datetime import UTC, datetime

from gonogo import __version__
from gonogo.core import judge
from gonogo.core.catalogue import discover_plugins, load_index
from gonogo.core.plan import Skip, Step, make_plan
from gonogo.core.profile import Profile, load_profile
from gonogo.core.report import Report, Result
from gonogo.execution import provenance
from gonogo.execution.measure import Bench
from gonogo.training.device import choose
from gonogo.training.session import Session
from gonogo.training.subject import Subject


def run(subject: Subject, profile: Profile | str = "standard", *, device: str = "auto", among: str = "") -> Report:
    """The report on a subject, by the checks whose id starts with `among`.

    Nothing protects this process from a crash of user code: `gonogo run` does.
    """
    chosen = load_profile(profile) if isinstance(profile, str) else profile
    started, clock = datetime.now(tz=UTC), time.monotonic()
    place = choose(device)
    bench = Bench(Session(subject, device=place, seed=chosen.seed))
    done: dict[str, Result] = {}
    catalogue = load_index() + discover_plugins()
    catalogue = replace(catalogue, checks=tuple(check for check in catalogue if check.id.startswith(among)))
    plan = make_plan(catalogue, chosen, subject.provides())
    for step in plan.steps:
        done[step.check.id] = _one(step, bench, chosen, done)
    results = (*done.values(), *(judge.broken_row(row.id, row.error) for row in plan.broken))
    return Report(
        subject=subject.name,
        profile=chosen.model_dump(mode="json"),
        results=judge.with_causes(results),
        environment={**provenance.of_machine(), **provenance.of_training(subject, place)},
        provenance=provenance.of_settings({}, chosen.model_dump(mode="json")),
        proxy=subject.proxy,
        notes=judge.notes(results, chosen),
        started=started.isoformat(timespec="seconds"),
        seconds=time.monotonic() - clock,
        gonogo=__version__,
    )


def _one(step: Step, bench: Bench, profile: Profile, done: dict[str, Result]) -> Result:
    if step.skip:
        return judge.skipped(step, step.skip, step.reason, profile)
    blocker = judge.blocked_by(step, done)
    if blocker:
        return judge.skipped(step, Skip.BLOCKED, blocker, profile)
    outcome = bench.measure(step.check, step.params, profile.time_limit.of(step.check.effort))
    return judge.judge_outcome(step, outcome, profile)
