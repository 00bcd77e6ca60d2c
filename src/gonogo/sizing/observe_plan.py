"""The audit of a stated memory plan as a measurement."""

from collections.abc import Mapping
from typing import Any

from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.sizing.stated import audit
from gonogo.sizing.stated import plan as stated_plan

_COLUMNS = ("stage", "line", "stated", "follows", "why")


def plan(given: Mapping[str, Any]) -> Observation:
    """Every wrong line of a plan with what follows instead.

    Raises:
        NotApplicable: It states no figure.
        SubjectError: It cannot be read.
    """
    found = audit.audit(stated_plan.read(given))
    if not found.compared:
        raise NotApplicable("the memory_plan states no figure")
    rows = tuple((one.stage, one.line, one.stated, one.follows, one.why) for one in found.wrong)
    wrong = Measurement(len(rows), "{line}", n=found.compared)
    return Observation({"wrong_lines": wrong}, (Table("Lines that do not follow", _COLUMNS, rows),))
