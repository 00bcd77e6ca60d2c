import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.core import report as reports
from gonogo.core.check import Effort
from gonogo.core.criterion import Interval, Status, Verdict, at_most, within
from gonogo.core.measurement import Evidence, Measurement, Observation, Table
from gonogo.core.plan import Skip
from gonogo.core.report import SCHEMA, Failure, Outcome, Report, Result, from_dict, to_dict
from gonogo.errors import ProfileError

TEXT = st.text(max_size=20)
NUMBER = st.floats(allow_nan=True, allow_infinity=True)
CELLS = st.none() | TEXT | st.integers(-(2**60), 2**60) | NUMBER
MEASUREMENTS = st.builds(Measurement, NUMBER, TEXT, st.none() | NUMBER, st.none() | NUMBER, st.none() | st.integers(0))
TABLES = st.builds(
    Table,
    TEXT,
    st.just(("a", "b")),
    st.lists(st.tuples(CELLS, CELLS), max_size=3).map(tuple),
    st.sampled_from(["table", "line", "bar", "heatmap"]),
)
OBSERVATIONS = st.builds(
    Observation, st.dictionaries(TEXT, MEASUREMENTS, max_size=2), st.lists(TABLES, max_size=2).map(tuple)
)
CRITERIA = st.sampled_from([at_most("m", warn=1, source="s"), within("m", fail=(0, 1), source="s")])
RESULTS = st.builds(
    Result,
    id=TEXT,
    title=TEXT,
    status=st.sampled_from(Status),
    reason=TEXT,
    evidence=st.sampled_from(Evidence),
    seconds=st.floats(0, 1e6),
    effort=st.sampled_from(Effort),
    required=st.booleans(),
    skip=st.none() | st.sampled_from(Skip),
    verdicts=st.lists(st.builds(Verdict, TEXT, st.sampled_from(Status), TEXT), max_size=2).map(tuple),
    criteria=st.lists(CRITERIA, max_size=2).map(tuple),
    observation=st.none() | OBSERVATIONS,
    failure=st.none() | st.builds(Failure, TEXT, TEXT, TEXT),
    params=st.dictionaries(TEXT, st.booleans() | st.integers() | TEXT, max_size=2),
    titles=st.just(()) | st.tuples(TEXT, TEXT),
    waived=TEXT,
)
REPORTS = st.builds(
    Report, TEXT, st.just({"name": "mine"}), st.lists(RESULTS, max_size=3).map(tuple), notes=st.just(())
)


@given(REPORTS)
def test_a_report_survives_strict_json(report):
    text = json.dumps(to_dict(report), allow_nan=False)
    assert from_dict(json.loads(text), "here") == report


@given(RESULTS)
def test_a_line_of_the_journal_survives_strict_json(result):
    plain = json.loads(json.dumps(reports.result_to_dict(result), allow_nan=False))
    assert reports.result_from_dict(plain) == result


@given(st.none() | OBSERVATIONS, st.none() | st.builds(Failure, TEXT))
def test_what_a_worker_sends_survives_strict_json(observation, failure):
    outcome = Outcome(observation, "", failure, 1.5, 7, Evidence.READ)
    assert reports.outcome_from_dict(json.loads(json.dumps(reports.outcome_to_dict(outcome)))) == outcome


def test_statuses_and_efforts_are_names_in_json(make_report, make_result):
    [plain] = to_dict(make_report(make_result("data.a", Status.FAIL)))["results"]
    assert (plain["status"], plain["effort"]) == ("FAIL", "READ")


def test_what_is_derived_is_written_out_for_readers(make_report, make_result):
    plain = to_dict(make_report(make_result("data.a", Status.FAIL), make_result("data.b")))
    assert (plain["schema"], plain["verdict"], plain["exit_code"]) == (SCHEMA, "NO-GO", 1)
    assert [reason["id"] for reason in plain["reasons"]] == ["data.a"]
    assert plain["coverage"] == {"ran": 2, "applicable": 2, "total": 2}


def test_what_is_derived_is_not_believed_when_read(make_report, make_result):
    plain = to_dict(make_report(make_result("data.a", Status.FAIL)))
    assert from_dict({**plain, "verdict": "GO", "exit_code": 0}, "here").verdict == "NO-GO"


@pytest.mark.parametrize("schema", [SCHEMA + 1, None, "1", 1.5])
def test_a_report_of_a_newer_schema_is_refused(make_report, schema):
    with pytest.raises(ProfileError, match=rf"here: report schema {schema!r} was found.*update gonogo"):
        from_dict({**to_dict(make_report()), "schema": schema}, "here")


def test_something_without_a_schema_is_refused():
    with pytest.raises(ProfileError, match="schema None"):
        from_dict({"anything": 1}, "here")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"results": 3}, "results"),
        ({"results": [{"id": "data.a"}]}, r"results\.0\.title"),
        ({"subject": None}, "subject"),
        ({"seconds": "long"}, "seconds"),
    ],
)
def test_a_mangled_report_is_refused_with_the_place(make_report, change, path):
    with pytest.raises(ProfileError, match=rf"here: not a report that gonogo wrote: {path}: "):
        from_dict({**to_dict(make_report()), **change}, "here")


@pytest.mark.parametrize(
    "change",
    [
        {"status": "MAYBE"},
        {"effort": "HUGE"},
        {"skip": "tired"},
        {"criteria": [{"measure": "m", "accept": {"lo": 2, "hi": 1}, "tolerate": {}, "source": ""}]},
    ],
)
def test_a_mangled_result_is_refused(make_report, make_result, change):
    plain = to_dict(make_report(make_result("data.a")))
    plain["results"][0] |= change
    with pytest.raises(ProfileError, match="here: not a report that gonogo wrote"):
        from_dict(plain, "here")


SKIPPED = {"status": Status.SKIP, "required": True}


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([{}], 0),
        ([{}, {"status": Status.WARN}], 0),
        ([{}, {"status": Status.FAIL}], 1),
        ([{}, {"status": Status.ERROR}, {"status": Status.FAIL}], 1),
        ([{}, {"status": Status.ERROR}], 4),
        ([{}, {**SKIPPED, "skip": Skip.MISSING}], 4),
        ([{}, {**SKIPPED, "skip": Skip.DESELECTED}], 4),
        ([{}, {**SKIPPED, "skip": Skip.NOT_APPLICABLE}], 0),
        ([{}, {"status": Status.SKIP, "skip": Skip.BLOCKED}], 0),
        ([{"status": Status.SKIP, "skip": Skip.NOT_APPLICABLE}], 4),
        ([{"status": Status.FAIL, "waived": "known"}], 0),
        ([{"status": Status.SKIP, "skip": Skip.DESELECTED}], 5),
        ([{"status": Status.SKIP, "skip": Skip.DESELECTED}, {"status": Status.SKIP, "skip": Skip.BLOCKED}], 4),
        ([], 4),
    ],
)
def test_the_exit_code_follows_from_the_results(make_report, make_result, rows, code):
    results = [make_result(f"data.c{index}", **row) for index, row in enumerate(rows)]
    assert make_report(*results).exit_code == code


def test_reasons_name_failures_before_unknowns_and_causes_before_consequences(make_report, make_result):
    names = {"learning.a": Status.FAIL, "data.z": Status.ERROR, "model.b": Status.FAIL, "model.a": Status.FAIL}
    results = [make_result(name, status) for name, status in names.items()]
    report = make_report(*results, make_result("acme/data.x", Status.FAIL), make_result("zoo.x", Status.FAIL))
    assert [result.id for result in report.reasons] == [
        "acme/data.x",
        "model.b",
        "model.a",
        "learning.a",
        "zoo.x",
        "data.z",
    ]


def test_what_does_not_close_the_gate_is_no_reason(make_report, make_result):
    results = make_result("data.a"), make_result("data.b", Status.WARN), make_result("data.c", Status.FAIL, waived="x")
    assert make_report(*results).reasons == ()


def test_coverage_tells_apart_what_ran_what_applies_and_what_there_is(make_report, make_result):
    skips = [make_result(f"data.{skip.name}", Status.SKIP, skip=skip) for skip in (Skip.NOT_APPLICABLE, Skip.MISSING)]
    report = make_report(make_result("data.a"), make_result("data.b", Status.ERROR), *skips)
    assert report.coverage == {"ran": 1, "applicable": 3, "total": 4}


def test_the_category_of_a_result_has_no_plug_in_prefix(make_result):
    assert make_result("acme/data.rows").category == "data"


def test_the_json_schema_describes_a_report():
    assert {"subject", "results"} <= set(reports.schema()["required"])


def test_limits_survive_as_they_were(make_report, make_result):
    result = make_result("data.a", criteria=(at_most("m", warn=1, fail=2, source="s"),))
    [read] = from_dict(to_dict(make_report(result)), "here").results
    assert read.criteria[0].accept == Interval(hi=1)
