"""All results of one run, and the single decision that follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gonogo.core.check import EffortName
from gonogo.core.criterion import Criterion, Status, StatusName, Verdict
from gonogo.core.measurement import Evidence, Observation
from gonogo.core.plan import CATEGORIES, Skip
from gonogo.errors import ProfileError

SCHEMA = 1  # raised when a reader of an older version would misread a report


class Decision(StrEnum):
    """The single answer."""

    GO = "GO"
    NO_GO = "NO-GO"
    HOLD = "HOLD"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a check could not measure: the error in one line, the end of stderr, and the traceback for -v."""

    message: str
    stderr: str = ""
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker says of one check: exactly one of the first three is set."""

    observation: Observation | None = None
    not_applicable: str = ""
    failure: Failure | None = None
    seconds: float = 0.0
    memory: int = 0  # peak resident bytes of the worker after the check
    evidence: Evidence = Evidence.DECLARED


@dataclass(frozen=True, slots=True)
class Result:
    """One check of the report: judged, with everything needed to judge it again."""

    id: str
    title: str
    status: StatusName
    reason: str
    evidence: Evidence
    seconds: float
    effort: EffortName
    required: bool = False
    skip: Skip | None = None
    verdicts: tuple[Verdict, ...] = ()
    criteria: tuple[Criterion, ...] = ()  # as judged
    defaults: tuple[Criterion, ...] = ()  # as declared by the check: what another profile starts from
    observation: Observation | None = None
    failure: Failure | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    fix: str = ""
    why: str = ""
    waived: str = ""
    explains: tuple[str, ...] = ()
    cause: str = ""  # the id of the failure whose consequence this finding is
    memory: int = 0
    titles: tuple[str, ...] = ()  # of a pass and of a failure: for judging again

    @property
    def category(self) -> str:
        """The part of the id before the dot."""
        return self.id.rsplit(".", 1)[0].rsplit("/", 1)[-1]

    @property
    def closes_gate(self) -> bool:
        """Does this result alone forbid GO? A required check that merely does not apply does not."""
        if self.waived:
            return False
        if self.status is Status.SKIP:
            return self.required and self.skip is not Skip.NOT_APPLICABLE
        return self.status >= Status.FAIL


@dataclass(frozen=True, slots=True)
class Report:
    """The whole answer; every report format is a function of this object alone."""

    subject: str
    profile: Mapping[str, Any]
    results: tuple[Result, ...]
    environment: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    proxy: str = ""  # what the measured model stands in for, if it is a stand-in
    notes: tuple[str, ...] = ()
    started: str = ""
    seconds: float = 0.0
    gonogo: str = ""
    schema: int = SCHEMA

    @property
    def verdict(self) -> Decision:
        """NO-GO if anything failed, HOLD if something needed is unknown, else GO."""
        closing = [result for result in self.results if result.closes_gate]
        if any(result.status is Status.FAIL for result in closing):
            return Decision.NO_GO
        return Decision.HOLD if closing or not self.ran else Decision.GO

    @property
    def ran(self) -> tuple[Result, ...]:
        """The results of checks that measured something."""
        return tuple(result for result in self.results if result.status not in (Status.SKIP, Status.ERROR))

    @property
    def reasons(self) -> tuple[Result, ...]:
        """What closes the gate, root causes first: failures before unknowns, then by category and order of running.

        What a listed failure blocks or explains is its consequence, not another reason.
        """
        closing = [result for result in self.results if result.closes_gate]
        roots = [result for result in closing if result.skip is not Skip.BLOCKED and not result.cause]
        if any(result.status >= Status.FAIL for result in roots):
            closing = roots
        return tuple(sorted(closing, key=lambda result: (result.status is not Status.FAIL, _place(result))))

    def consequences(self, of: Result) -> tuple[Result, ...]:
        """The findings that a failure explains."""
        return tuple(result for result in self.results if result.cause == of.id)

    @property
    def coverage(self) -> dict[str, int]:
        """How many checks ran, how many applied, how many there are."""
        applicable = [result for result in self.results if result.skip is not Skip.NOT_APPLICABLE]
        return {"ran": len(self.ran), "applicable": len(applicable), "total": len(self.results)}

    @property
    def exit_code(self) -> int:
        """0 GO, 1 NO-GO, 4 HOLD, 5 nothing was selected."""
        if self.results and all(result.skip is Skip.DESELECTED for result in self.results):
            return 5
        return {Decision.GO: 0, Decision.NO_GO: 1, Decision.HOLD: 4}[self.verdict]


_REPORT = TypeAdapter(Report)
_RESULT = TypeAdapter(Result)
_OUTCOME = TypeAdapter(Outcome)


def to_dict(report: Report) -> dict[str, Any]:
    """The report as plain JSON types; what is derived (verdict, reasons, coverage) is written out for readers."""
    reasons = [{"id": r.id, "status": r.status.name, "title": r.title, "reason": r.reason} for r in report.reasons]
    derived = {"verdict": report.verdict.value, "exit_code": report.exit_code, "reasons": reasons}
    plain = _REPORT.dump_python(report, mode="json")
    return {"schema": report.schema, **derived, "coverage": report.coverage, **plain}


def from_dict(plain: Mapping[str, Any], where: str) -> Report:
    """The report that `to_dict` wrote.

    Raises:
        ProfileError: It is not such a report, or of a newer schema.
    """
    schema = plain.get("schema")
    if not isinstance(schema, int) or schema > SCHEMA:
        raise ProfileError(f"{where}: report schema {schema!r} was found, at most {SCHEMA} was expected; update gonogo")
    known = {name: value for name, value in plain.items() if name in Report.__dataclass_fields__}
    try:
        return _REPORT.validate_python(known)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        raise ProfileError(f"{where}: not a report that gonogo wrote: {path}: {first['msg']}") from None
    except ProfileError as error:  # limits that no criterion accepts
        raise ProfileError(f"{where}: not a report that gonogo wrote: {error}") from None


def result_to_dict(result: Result) -> dict[str, Any]:
    """One result as plain JSON types: a line of the journal."""
    return _RESULT.dump_python(result, mode="json")


def result_from_dict(plain: Mapping[str, Any]) -> Result:
    """The result that `result_to_dict` wrote."""
    return _RESULT.validate_python(plain)


def outcome_to_dict(outcome: Outcome) -> dict[str, Any]:
    """What a worker sends."""
    return _OUTCOME.dump_python(outcome, mode="json")


def outcome_from_dict(plain: Mapping[str, Any]) -> Outcome:
    """What the supervisor receives."""
    return _OUTCOME.validate_python(plain)


def schema() -> dict[str, Any]:
    """JSON Schema of the report file."""
    return _REPORT.json_schema(mode="serialization")


def _place(result: Result) -> int:
    return CATEGORIES.index(result.category) if result.category in CATEGORIES else len(CATEGORIES)
