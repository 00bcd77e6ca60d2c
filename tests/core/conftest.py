"""Checks, steps and results built by hand: the core needs no torch to be tested."""

from dataclasses import replace

import pytest

from gonogo.core.catalogue import Catalogue
from gonogo.core.check import Check, Effort
from gonogo.core.criterion import Status, at_most
from gonogo.core.docpage import DocPage
from gonogo.core.measurement import Evidence, Measurement, Observation
from gonogo.core.plan import Step, make_plan
from gonogo.core.profile import Profile
from gonogo.core.report import Outcome, Report, Result

DOC = DocPage("all is well", "all is not well", "what", "why", "fix", "shapes", "units", "source")
CRITERION = at_most("wrong", warn=1, fail=2, source="a test")


@pytest.fixture(scope="session")
def make_check():
    """make_check(id, **fields) -> Check with one criterion: `wrong` at most 1, at most 2."""

    def make(check_id, **fields):
        plain = {"needs": (), "effort": Effort.READ, "criteria": (CRITERION,), "doc": DOC}
        return Check(id=check_id, module="nowhere", name="nothing", **{**plain, **fields})

    return make


@pytest.fixture(scope="session")
def make_profile():
    """make_profile(**fields) -> Profile that selects everything made here."""

    def make(**fields):
        return Profile.model_validate({"name": "mine", "select": ["data", "model", "learning", "acme/"], **fields})

    return make


@pytest.fixture(scope="session")
def plan_of(make_profile):
    """plan_of(checks, provides, broken, **profile) -> Plan; selects all of them unless told otherwise."""

    def make(*checks, provides=(), broken=(), **profile):
        select = sorted({check.category for check in checks})
        return make_plan(Catalogue(checks, tuple(broken)), make_profile(**{"select": select, **profile}), provides)

    return make


@pytest.fixture(scope="session")
def make_step(make_check):
    """make_step(id, **fields) -> Step of such a check."""

    def make(check_id="data.a", **fields):
        return Step(make_check(check_id), {}, (CRITERION,), **fields)

    return make


@pytest.fixture(scope="session")
def make_result():
    """make_result(id, status, **fields) -> Result."""

    def make(check_id, status=Status.PASS, **fields):
        return replace(
            Result(check_id, "title", status, "reason", Evidence.DECLARED, 0.0, Effort.READ),
            **fields,
        )

    return make


@pytest.fixture(scope="session")
def make_report():
    """make_report(*results, **fields) -> Report."""

    def make(*results, **fields):
        return Report("a subject", {"name": "mine"}, results, **fields)

    return make


@pytest.fixture(scope="session")
def outcome_of():
    """outcome_of(wrong) -> Outcome of a check that measured that."""

    def make(wrong, **fields):
        return Outcome(Observation({"wrong": Measurement(wrong, **fields)}))

    return make
