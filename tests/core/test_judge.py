from dataclasses import replace

import pytest

from gonogo.core.criterion import Status, at_most
from gonogo.core.judge import blocked_by, broken_row, judge, judge_outcome, notes, skipped
from gonogo.core.measurement import Evidence, Measurement, Observation
from gonogo.core.plan import Skip
from gonogo.core.report import Decision, Failure, Outcome, result_from_dict, result_to_dict
from gonogo.errors import ProfileError

WAIVED = {"waivers": [{"check": "data.a", "reason": "known", "until": "2030-01-01"}]}


@pytest.fixture
def judged(make_step, make_profile, outcome_of):
    """judged(wrong, required=..., **profile) -> Result of data.a."""

    def make(wrong, *, required=False, **profile):
        return judge_outcome(make_step(required=required), outcome_of(wrong), make_profile(**profile))

    return make


@pytest.fixture
def again(make_report, make_profile):
    """again(result, **profile) -> the Result under another profile."""
    return lambda result, **profile: judge(make_report(result), make_profile(**profile)).results[0]


@pytest.mark.parametrize(("wrong", "status"), [(0, Status.PASS), (1.5, Status.WARN), (3, Status.FAIL)])
def test_a_measurement_is_judged_by_its_criterion(judged, wrong, status):
    assert judged(wrong).status is status


def test_the_title_says_what_was_found(judged):
    assert judged(0).title == "all is well"
    assert judged(1.5).title == judged(3).title == "all is not well"


def test_the_worst_criterion_decides_and_gives_the_reason(make_step, make_profile):
    strict, loose = at_most("a", fail=1, source=""), at_most("b", warn=1, source="")
    step = replace(make_step(), criteria=(loose, strict))
    outcome = Outcome(Observation({"a": Measurement(2), "b": Measurement(2)}))
    result = judge_outcome(step, outcome, make_profile())
    assert (result.status, result.reason) == (Status.FAIL, "a is 2; expected at most 1")
    assert [verdict.status for verdict in result.verdicts] == [Status.WARN, Status.FAIL]


def test_the_reason_of_a_pass_is_what_was_measured(judged):
    assert judged(0.5).reason == "wrong 0.5"


def test_a_check_may_leave_out_a_measurement_that_its_subject_cannot_have(make_step, make_profile, outcome_of):
    step = replace(make_step(), criteria=(*make_step().criteria, at_most("other", fail=0, source="")))
    assert judge_outcome(step, outcome_of(0), make_profile()).status is Status.PASS


@pytest.mark.parametrize(("measured", "shown"), [({"else": Measurement(1)}, "else"), ({}, "nothing")])
def test_a_check_that_returns_none_of_its_criteria_is_an_error_and_no_pass(make_step, make_profile, measured, shown):
    result = judge_outcome(make_step(), Outcome(Observation(measured)), make_profile())
    assert result.status is Status.ERROR
    assert result.reason.endswith(f"it returned: {shown}")


def test_a_failure_is_an_error_with_its_message(make_step, make_profile):
    result = judge_outcome(make_step(), Outcome(failure=Failure("it broke")), make_profile())
    assert (result.status, result.reason, result.failure) == (Status.ERROR, "it broke", Failure("it broke"))


def test_not_applicable_is_a_skip_with_its_reason(make_step, make_profile):
    result = judge_outcome(make_step(), Outcome(not_applicable="no classes"), make_profile())
    assert (result.status, result.skip, result.reason) == (Status.SKIP, Skip.NOT_APPLICABLE, "no classes")


def test_cost_and_evidence_come_from_the_outcome(make_step, make_profile, outcome_of):
    outcome = replace(outcome_of(0), seconds=2.5, memory=77, evidence=Evidence.SCALED)
    result = judge_outcome(make_step(), outcome, make_profile())
    assert (result.seconds, result.memory, result.evidence) == (2.5, 77, Evidence.SCALED)


@pytest.mark.parametrize(
    ("wrong", "decision"), [(0, Decision.GO), (1.5, Decision.GO), (3, Decision.NO_GO), (float("nan"), Decision.NO_GO)]
)
def test_a_failure_of_any_check_is_no_go(make_report, judged, wrong, decision):
    assert make_report(judged(wrong)).verdict is decision


@pytest.mark.parametrize("skip", [skip for skip in Skip if skip is not Skip.NOT_APPLICABLE])
def test_a_required_check_that_did_not_run_holds(make_report, make_step, make_profile, judged, skip):
    unknown = skipped(make_step("data.b", required=True), skip, "why", make_profile())
    assert make_report(judged(0), unknown).verdict is Decision.HOLD


def test_a_required_check_that_does_not_apply_does_not_hold(make_report, make_step, make_profile, judged):
    result = skipped(make_step("data.b", required=True), Skip.NOT_APPLICABLE, "why", make_profile())
    assert make_report(judged(0), result).verdict is Decision.GO


def test_an_optional_check_that_did_not_run_does_not_hold(make_report, make_step, make_profile, judged):
    assert make_report(judged(0), skipped(make_step("data.b"), Skip.MISSING, "", make_profile())).verdict == "GO"


def test_an_error_holds_even_if_optional(make_report, make_step, make_profile, judged):
    error = judge_outcome(make_step("data.b"), Outcome(failure=Failure("x")), make_profile())
    assert make_report(judged(0), error).verdict is Decision.HOLD


def test_a_failure_outweighs_an_unknown(make_report, make_step, make_profile, judged):
    unknown = skipped(make_step("data.b", required=True), Skip.BLOCKED, "", make_profile())
    assert make_report(unknown, judged(3)).verdict is Decision.NO_GO


def test_a_waived_failure_does_not_close_the_gate_and_says_why(make_report, judged):
    result = judged(3, **WAIVED)
    assert (result.status, result.waived) == (Status.FAIL, "known (until 2030-01-01)")
    assert make_report(result).verdict is Decision.GO


def test_a_waiver_of_one_check_does_not_cover_another(make_report, make_step, make_profile, outcome_of):
    result = judge_outcome(make_step("data.b"), outcome_of(3), make_profile(**WAIVED))
    assert make_report(result).verdict is Decision.NO_GO


def test_a_waiver_that_nothing_needs_is_noted(judged, make_profile):
    [note] = notes((judged(0, **WAIVED),), make_profile(**WAIVED))
    assert "stale waiver: data.a" in note
    assert notes((judged(3, **WAIVED),), make_profile(**WAIVED)) == ()


def test_judging_again_with_other_limits_changes_status_reason_and_title(judged, again):
    strict = {"checks": {"data.a": {"limits": {"wrong": {"fail": 0.1}}}}}
    result = again(judged(0.5), **strict)
    assert (result.status, result.title) == (Status.FAIL, "all is not well")
    assert "at most 0.1" in result.reason
    back = again(result)
    assert back == judged(0.5)


def test_judging_again_starts_from_the_limits_of_the_check_and_not_of_the_last_profile(judged, again):
    loose = {"checks": {"data.a": {"limits": {"wrong": {"fail": 9, "warn": 8}}}}}
    assert again(again(judged(3), **loose)).status is Status.FAIL


def test_judging_again_takes_required_and_waivers_from_the_new_profile(judged, again):
    result = again(judged(3, required=True), **WAIVED)
    assert (result.required, bool(result.waived)) == (False, True)
    assert again(result, required=["data.a"]).closes_gate


def test_what_the_new_profile_does_not_select_is_deselected_and_comes_back(judged, again):
    gone = again(judged(3), select=["model"])
    assert (gone.status, gone.skip) == (Status.SKIP, Skip.DESELECTED)
    assert again(gone).status is Status.FAIL


def test_a_crash_is_still_a_crash_after_it_was_deselected_and_selected_again(make_step, make_profile, again):
    error = judge_outcome(make_step(), Outcome(failure=Failure("it broke")), make_profile())
    assert again(again(error, select=["model"])) == error


def test_what_was_not_measured_stays_unknown_under_another_profile(make_step, make_profile, make_report):
    missing = skipped(make_step(), Skip.MISSING, "no valid-split", make_profile())
    now = judge(make_report(missing), make_profile(required=["data.a"]))
    assert (now.results[0].skip, now.verdict) == (Skip.MISSING, Decision.HOLD)


def test_a_report_that_lacks_a_required_check_is_not_judged(judged, make_report, make_profile):
    with pytest.raises(ProfileError, match=r"no check 'data\.b'; measure again.* Did you mean 'data\.a'"):
        judge(make_report(judged(0)), make_profile(required=["data.b"]))


def test_limits_that_do_not_exist_are_refused_when_judging_again(judged, again):
    with pytest.raises(ProfileError, match=r"mine: checks\.data\.a\.limits\.wrnog: no such limit"):
        again(judged(0), checks={"data.a": {"limits": {"wrnog": {"fail": 1}}}})


def test_the_report_carries_the_profile_that_judged_it(judged, make_report, make_profile):
    assert judge(make_report(judged(0)), make_profile(name="other", seed=5)).profile["name"] == "other"


@pytest.mark.parametrize(
    ("status", "skip", "words"),
    [
        (Status.FAIL, None, "data.a failed"),
        (Status.ERROR, None, "data.a did not run to its end"),
        (Status.SKIP, Skip.BLOCKED, "data.a did not run"),
        (Status.SKIP, Skip.MISSING, ""),
        (Status.WARN, None, ""),
        (Status.PASS, None, ""),
    ],
)
def test_a_failure_blocks_what_comes_after_it(make_step, make_check, make_result, status, skip, words):
    step = replace(make_step(), check=make_check("data.b", after=("data.a", "data.gone")))
    blocker = blocked_by(step, {"data.a": make_result("data.a", status, skip=skip)})
    assert blocker.startswith(words)
    assert bool(blocker) == bool(words)


def test_a_broken_plug_in_holds_the_gate_in_words(make_report, judged):
    row = broken_row("acme/", "ImportError: gone")
    assert (row.id, row.reason) == ("acme/plug-in", "ImportError: gone")
    assert make_report(judged(0), row).verdict is Decision.HOLD
    assert result_from_dict(result_to_dict(row)) == row
