"""Measuring and judging are two acts: this is the second. No torch, no device, no subject."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from gonogo.core.check import Effort
from gonogo.core.criterion import Criterion, Status, Verdict, quantity
from gonogo.core.measurement import Evidence, Measurement
from gonogo.core.plan import Skip, Step, adjusted, selected
from gonogo.core.profile import Profile
from gonogo.core.report import Failure, Outcome, Report, Result
from gonogo.errors import ProfileError, did_you_mean

_BAD = (Status.WARN, Status.FAIL)


def judge_outcome(step: Step, outcome: Outcome, profile: Profile) -> Result:
    """The result of a check that a worker was asked to run."""
    if outcome.failure:
        status, reason, verdicts, skip = Status.ERROR, outcome.failure.message, (), None
    elif outcome.not_applicable or outcome.observation is None:
        status, reason, verdicts, skip = Status.SKIP, outcome.not_applicable, (), Skip.NOT_APPLICABLE
    else:
        verdicts, skip = _verdicts(step.criteria, outcome.observation.measurements), None
        status, reason = _worst(verdicts, outcome.observation.measurements)
    return replace(
        _result(step, status, reason, skip, profile),
        evidence=outcome.evidence,
        seconds=outcome.seconds,
        memory=outcome.memory,
        verdicts=verdicts,
        observation=outcome.observation,
        failure=outcome.failure,
    )


def skipped(step: Step, skip: Skip, reason: str, profile: Profile) -> Result:
    """The result of a check that will not run."""
    return _result(step, Status.SKIP, reason, skip, profile)


def with_causes(results: tuple[Result, ...]) -> tuple[Result, ...]:
    """The results, each finding with the failure that explains it: one root, and what follows from it."""
    roots = [result for result in results if result.status is Status.FAIL and not result.waived and result.explains]
    raised: dict[str, str] = {}  # the first check that met an exception, by its words and place
    for result in results:
        if _raised(result) and not result.waived:
            raised.setdefault(result.reason, result.id)
    return tuple(replace(result, cause=_root(result, roots) or _same(result, raised)) for result in results)


def _raised(result: Result) -> bool:
    # Checks that ran out of time, or whose workers died, are alike in words and not in cause: they have no traceback.
    return result.status is Status.ERROR and result.failure is not None and bool(result.failure.traceback)


def _same(result: Result, raised: Mapping[str, str]) -> str:
    first = raised.get(result.reason, "") if _raised(result) else ""
    return first if first != result.id else ""


def _root(result: Result, roots: list[Result]) -> str:
    if result.status in (Status.PASS, Status.SKIP):
        return ""
    causes = [root for root in roots if root.id != result.id and _explains(root, result)]
    # The root of the roots: one that no other cause explains.
    first = [root for root in causes if not any(_explains(other, root) for other in causes if other is not root)]
    return (first or causes)[0].id if causes else ""


def _explains(root: Result, result: Result) -> bool:
    return any(result.id.startswith(prefix) for prefix in root.explains) and not any(
        root.id.startswith(prefix) for prefix in result.explains
    )


def blocked_by(step: Step, done: Mapping[str, Result]) -> str:
    """Why a step must wait for another to be mended; empty if nothing is in its way."""
    for before in step.check.after:
        result = done.get(before)
        if result and (result.status >= Status.FAIL or result.skip is Skip.BLOCKED):
            verb = "failed" if result.status is Status.FAIL else "did not run to its end"
            return f"{before} {verb}: mend that first"
    return ""


def judge(report: Report, profile: Profile) -> Report:
    """The same numbers under another profile. What was not measured then stays unknown now.

    Raises:
        ProfileError: The profile requires a check that the report does not know.
    """
    ids = [result.id for result in report.results]
    for check_id in sorted(set(profile.required) - set(ids)):
        raise ProfileError(
            f"{profile.name}: required: the report has no check {check_id!r}; measure again with this profile."
            f"{did_you_mean(check_id, ids)}"
        )
    results = with_causes(tuple(_again(result, profile, ids) for result in report.results))
    return replace(report, results=results, profile=profile.model_dump(mode="json"), notes=notes(results, profile))


def notes(results: tuple[Result, ...], profile: Profile) -> tuple[str, ...]:
    """What the reader should know about the waivers: those that nothing needs any more."""
    waived = {waiver.check for waiver in profile.waivers}
    return tuple(
        f"stale waiver: {result.id} passes, so its waiver can go"
        for result in results
        if result.id in waived and result.status is Status.PASS
    )


def _again(result: Result, profile: Profile, ids: Collection[str]) -> Result:
    settings = profile.checks.get(result.id)
    where = f"{profile.name}: checks.{result.id}.limits"
    criteria = adjusted(result.defaults, settings.limits if settings else {}, where)
    base = replace(
        result, criteria=criteria, required=result.id in profile.required, waived=_waiver(result.id, profile)
    )
    if not selected(result.id, profile, ids):
        return replace(base, status=Status.SKIP, skip=Skip.DESELECTED, reason="not selected by the profile")
    if result.failure is not None:
        return replace(base, status=Status.ERROR, reason=result.failure.message, skip=None)
    if result.observation is None:
        return base
    verdicts = _verdicts(criteria, result.observation.measurements)
    status, reason = _worst(verdicts, result.observation.measurements)
    title = result.titles[status in _BAD] if result.titles else result.title
    return replace(base, title=title, verdicts=verdicts, status=status, reason=reason, skip=None)


def _verdicts(criteria: tuple[Criterion, ...], measured: Mapping[str, Measurement]) -> tuple[Verdict, ...]:
    # A check may leave out a measurement that its subject cannot have (no groups given, say).
    return tuple(
        criterion.judge(measured[criterion.measure]) for criterion in criteria if criterion.measure in measured
    )


def _worst(verdicts: tuple[Verdict, ...], measured: Mapping[str, Measurement]) -> tuple[Status, str]:
    if not verdicts:
        return Status.ERROR, f"the check returned none of its criteria; it returned: {', '.join(measured) or 'nothing'}"
    worst = max(verdict.status for verdict in verdicts)
    if worst is Status.PASS:
        shown = (f"{verdict.measure} {quantity(measured[verdict.measure])}" for verdict in verdicts)
        return worst, ", ".join(shown)
    return worst, "; ".join(verdict.reason for verdict in verdicts if verdict.status is worst)


def _result(step: Step, status: Status, reason: str, skip: Skip | None, profile: Profile) -> Result:
    titles = (step.check.doc.title_pass, step.check.doc.title_fail)
    return Result(
        id=step.check.id,
        title=titles[status in _BAD],
        titles=titles,
        status=status,
        reason=reason,
        evidence=Evidence.DECLARED,
        seconds=0.0,
        effort=step.check.effort,
        required=step.required,
        skip=skip,
        criteria=step.criteria,
        defaults=step.check.criteria,
        params=step.params,
        fix=step.check.doc.fix,
        why=step.check.doc.why,
        waived=_waiver(step.check.id, profile),
        explains=step.check.explains,
    )


def _waiver(check_id: str, profile: Profile) -> str:
    return "; ".join(f"{w.reason} (until {w.until})" for w in profile.waivers if w.check == check_id)


def broken_row(identifier: str, error: str) -> Result:
    """The row of a plug-in that could not be loaded."""
    return Result(
        id=f"{identifier}plug-in",
        title="A plug-in cannot be loaded",
        status=Status.ERROR,
        reason=error,
        evidence=Evidence.DECLARED,
        seconds=0.0,
        effort=Effort.READ,
        failure=Failure(error),
        fix="Mend or uninstall the plug-in, or leave its prefix out of the profile's `select`.",
    )
