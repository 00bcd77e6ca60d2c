import pytest

from gonogo.core.criterion import Status
from gonogo.core.judge import judge, with_causes
from gonogo.core.report import Failure


@pytest.fixture
def causes(make_result):
    """causes({id: (status, explains)}) -> {id: cause}."""

    def found(rows, **fields):
        results = [make_result(name, status, explains=explains, **fields) for name, (status, explains) in rows.items()]
        return {result.id: result.cause for result in with_causes(tuple(results))}

    return found


def test_a_finding_is_laid_at_the_failure_that_explains_it(causes):
    rows = {"data.a": (Status.FAIL, ("model",)), "model.b": (Status.WARN, ()), "learning.c": (Status.FAIL, ())}
    assert causes(rows) == {"data.a": "", "model.b": "data.a", "learning.c": ""}


def test_what_passed_needs_no_cause(causes):
    rows = {"data.a": (Status.FAIL, ("model",)), "model.b": (Status.PASS, ()), "model.c": (Status.SKIP, ())}
    assert set(causes(rows).values()) == {""}


@pytest.mark.parametrize("status", [Status.PASS, Status.WARN, Status.ERROR])
def test_only_a_failure_explains(causes, status):
    assert causes({"data.a": (status, ("model",)), "model.b": (Status.FAIL, ())})["model.b"] == ""


def test_a_waived_failure_explains_nothing(causes):
    rows = {"data.a": (Status.FAIL, ("model",)), "model.b": (Status.FAIL, ())}
    assert causes(rows, waived="known")["model.b"] == ""


def test_the_root_of_the_roots_is_the_cause(causes):
    rows = {
        "model.b": (Status.FAIL, ("learning",)),
        "data.a": (Status.FAIL, ("model", "learning")),
        "learning.c": (Status.FAIL, ()),
    }
    assert causes(rows) == {"data.a": "", "model.b": "data.a", "learning.c": "data.a"}


@pytest.mark.parametrize(("traceback", "cause"), [("Traceback ...", "data.a"), ("", "")])
def test_one_exception_that_stops_two_checks_is_one_cause_and_two_time_outs_are_two(make_result, traceback, cause):
    met = {"status": Status.ERROR, "reason": "no loss", "failure": Failure("no loss", traceback=traceback)}
    rows = with_causes((make_result("data.a", **met), make_result("model.b", **met)))
    assert [result.cause for result in rows] == ["", cause]


def test_two_failures_that_explain_each_other_are_both_roots(causes):
    rows = {"data.a": (Status.FAIL, ("model",)), "model.b": (Status.FAIL, ("data",))}
    assert set(causes(rows).values()) == {""}


def test_a_consequence_is_no_reason_but_is_listed_with_its_root(make_result, make_report):
    rows = make_result("data.a", Status.FAIL, explains=("model",)), make_result("model.b", Status.FAIL)
    report = make_report(*with_causes(rows))
    assert [result.id for result in report.reasons] == ["data.a"]
    assert [result.id for result in report.consequences(report.results[0])] == ["model.b"]


def test_judging_again_forgets_a_cause_that_is_gone(make_result, make_report, make_profile):
    report = make_report(make_result("data.a"), make_result("model.b", Status.FAIL, cause="data.a"))
    assert judge(report, make_profile()).results[1].cause == ""
