"""What will run, in order, and what will not, with reasons. Pure: no subject is touched."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from heapq import heapify, heappop, heappush
from typing import Any

from gonogo.core.capability import Capability
from gonogo.core.catalogue import Broken, Catalogue
from gonogo.core.check import Check
from gonogo.core.criterion import Criterion
from gonogo.core.profile import Profile
from gonogo.errors import CheckError, ProfileError, did_you_mean

# Causes before consequences: what breaks the data breaks everything behind it. Also the order of reasons in a report.
CATEGORIES = (
    "environment",
    "config",
    "code",
    "data",
    "model",
    "attention",
    "modality",
    "sequence",
    "loss",
    "gradient",
    "optimizer",
    "evaluation",
    "learning",
    "reproducibility",
    "sizing",
    "efficiency",
    "watch",
)


class Skip(StrEnum):
    """Why a check did not run. Never a pass."""

    NOT_APPLICABLE = "not applicable"
    MISSING = "missing input"
    BLOCKED = "blocked"
    DESELECTED = "deselected"
    OVER_BUDGET = "over budget"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Step:
    """One check with its bound parameters and limits, and the reason if it will not run."""

    check: Check
    params: Mapping[str, Any]
    criteria: tuple[Criterion, ...]
    required: bool = False
    skip: Skip | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order of running, and the plug-ins that could not be loaded."""

    steps: tuple[Step, ...]
    broken: tuple[Broken, ...] = ()

    @property
    def runnable(self) -> tuple[Step, ...]:
        """The steps that will run."""
        return tuple(step for step in self.steps if step.skip is None)


def make_plan(catalogue: Catalogue, profile: Profile, provides: Iterable[Capability]) -> Plan:
    """The plan for a subject that provides these capabilities.

    Raises:
        ProfileError: The profile names a check, parameter or limit that does not exist.
    """
    _refuse_unknown(catalogue, profile)
    given = frozenset(provides)
    ids = frozenset(check.id for check in catalogue)
    steps = tuple(_step(check, profile, given, ids) for check in _in_order(catalogue.checks))
    wanted = profile.select + profile.required
    broken = tuple(row for row in catalogue.broken if any(row.id.startswith(p) or p.startswith(row.id) for p in wanted))
    return Plan(steps, broken)


def _step(check: Check, profile: Profile, given: frozenset[Capability], ids: frozenset[str]) -> Step:
    settings = profile.checks.get(check.id)
    where = f"{profile.name}: checks.{check.id}"
    params = check.bind(dict(settings.params) if settings else {}, f"{where}.params")
    criteria = adjusted(check.criteria, settings.limits if settings else {}, f"{where}.limits")
    required = check.id in profile.required
    if not selected(check.id, profile, ids):
        return Step(check, params, criteria, required, Skip.DESELECTED, "not selected by the profile or command line")
    missing = [need for need in check.needs if need not in given]
    if missing:
        advice = "; ".join(need.advice for need in missing)
        return Step(check, params, criteria, required, Skip.MISSING, f"no {missing[0]}: {advice}")
    return Step(check, params, criteria, required)


def selected(check_id: str, profile: Profile, ids: Collection[str]) -> bool:
    """Does the profile want this check? Prefixes, but what is the id of a check means this one only; ignore wins."""
    return _matches(check_id, profile.select, ids) and not _matches(check_id, profile.ignore, ids)


def adjusted(criteria: tuple[Criterion, ...], limits: Mapping[str, Any], where: str) -> tuple[Criterion, ...]:
    """The criteria with the profile's limits."""
    names = [criterion.measure for criterion in criteria]
    for name in limits:
        if name not in names:
            raise ProfileError(f"{where}.{name}: no such limit. It has: {', '.join(names)}.{did_you_mean(name, names)}")
    try:
        return tuple(criterion.with_limits(**limits.get(criterion.measure, {})) for criterion in criteria)
    except ProfileError as error:
        raise ProfileError(f"{where}: {error}") from None


def _refuse_unknown(catalogue: Catalogue, profile: Profile) -> None:
    ids = [check.id for check in catalogue]
    named = {"required": profile.required, "checks": profile.checks, "waivers": [w.check for w in profile.waivers]}
    for section, wanted in named.items():
        for check_id in wanted:
            if check_id not in ids and not _may_be_absent(check_id, section, catalogue):
                raise ProfileError(
                    f"{profile.name}: {section}: there is no check {check_id!r}.{did_you_mean(check_id, ids)}"
                )
    starts = ids + [row.id for row in catalogue.broken]
    for section, prefixes in {"select": profile.select, "ignore": profile.ignore}.items():
        for prefix in prefixes:
            if "/" not in prefix and not any(check_id.startswith(prefix) for check_id in starts):
                valid = sorted({check.category for check in catalogue}) + ids
                raise ProfileError(
                    f"{profile.name}: {section}: nothing starts with {prefix!r}.{did_you_mean(prefix, valid)}"
                )


def _may_be_absent(check_id: str, section: str, catalogue: Catalogue) -> bool:
    """Settings and waivers of a plug-in that is not installed do no harm; what is required must be there."""
    plugin, slash, _ = check_id.partition("/")
    if any(row.id == plugin + slash for row in catalogue.broken):
        return True  # its row in the report keeps the gate closed
    return bool(slash) and section != "required" and not any(check.id.startswith(plugin + slash) for check in catalogue)


def _matches(check_id: str, prefixes: Iterable[str], ids: Collection[str]) -> bool:
    return any(check_id == prefix if prefix in ids else check_id.startswith(prefix) for prefix in prefixes)


def _in_order(checks: tuple[Check, ...]) -> list[Check]:
    by_id = {check.id: check for check in sorted(checks, key=_rank)}
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for check in by_id.values():
        sorter.add(check.id, *(before for before in check.after if before in by_id))
    try:
        sorter.prepare()
    except CycleError as error:
        raise CheckError(f"checks wait for each other in a circle: {' -> '.join(error.args[1])}") from None
    order: list[Check] = []
    ready = [_rank(by_id[check_id]) for check_id in sorter.get_ready()]
    heapify(ready)
    while ready:  # one at a time: what a cheap check sets free may itself be cheaper than what waits
        check_id = heappop(ready)[-1]
        order.append(by_id[check_id])
        sorter.done(check_id)
        for freed in sorter.get_ready():
            heappush(ready, _rank(by_id[freed]))
    return order


def _rank(check: Check) -> tuple[int, int, str]:
    category = check.category.rsplit("/", 1)[-1]
    place = CATEGORIES.index(category) if category in CATEGORIES else len(CATEGORIES)
    # Cheap before costly, so that a broken run is refused early.
    return int(check.effort), place, check.id
