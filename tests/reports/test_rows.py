from dataclasses import replace

from tests.reports.conftest import make_result

from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.core.plan import Skip
from gonogo.reports import rows


def test_the_worst_measurement_comes_first_and_unjudged_ones_last(no_go):
    result = no_go.results[0]
    measured = {"seen": Measurement(500.0), **result.observation.measurements}
    found = rows.rows(replace(result, observation=Observation(measured)))
    assert [row.name for row in found] == ["shared", "near_duplicates", "seen"]
    assert found[-1].limit == "not judged"


def test_a_limit_that_the_profile_moved_names_both(no_go):
    result = no_go.results[0]
    moved = (at_most("shared", fail=0.5, source="paper"), *result.criteria[1:])
    (row, *_) = rows.rows(replace(result, criteria=moved))
    assert row.source.startswith("set by the profile; the check declares at most 0 (fails above 0.01)")


def test_a_value_that_is_not_finite_is_named():
    assert rows.Row("loss", Measurement(float("inf"))).value == "inf"


def test_every_kind_of_unknown_has_its_group(no_go):
    groups = rows.not_run(no_go)
    assert len(groups) == len(Skip) + 1
    assert sum(map(len, groups.values())) == 7


def test_what_closes_the_gate_leads_its_group(no_go):
    missing = next(result for result in no_go.results if result.skip is Skip.MISSING)
    groups = rows.not_run(replace(no_go, results=(replace(missing, required=False, id="a.b"), missing)))
    assert [result.id for result in groups["Input was not given"]] == ["evaluation.baseline", "a.b"]


def test_categories_are_in_order_of_causes_and_plug_ins_last(no_go):
    results = (replace(no_go.results[0], id="acme/data.x"), *no_go.results)
    names = list(rows.by_category(replace(no_go, results=results)))
    assert names[:3] == ["config", "data", "model"]
    assert names[-1] == "acme/data"


def test_a_finding_shows_its_first_rows_and_counts_the_rest(no_go):
    table = Table("Where", ("name", "norm", "why"), (("a", 0.25, ""), ("b", 2.0, "x"), ("c", 1.0, None)))
    picture = Table("Loss", ("step", "loss"), ((0, 1.0),), kind="line")
    result = replace(no_go.results[0], observation=Observation({}, (picture, table)))
    assert rows.examples(result) == ("name a, norm 0.25", "name b, norm 2, why x", "and 1 more in the report")


def test_a_finding_without_tables_shows_no_rows(no_go):
    assert rows.examples(replace(no_go.results[0], observation=Observation({}))) == ()


def test_a_row_of_two_columns_needs_no_names(no_go):
    table = Table("Answer", ("quantity", "value"), (("device", "T4"), ("free", 0.5)))
    result = replace(no_go.results[0], observation=Observation({}, (table,)))
    assert rows.examples(result) == ("device: T4", "free: 0.5")


def test_a_reason_is_shared_up_to_its_colon_and_each_check_keeps_what_it_adds():
    lead = "the program runs, but not under what this check does"
    reasons = {"data.a": f"{lead}: no grad", "data.b": f"{lead}: no cuda", "data.c": "no groups: give some"}
    results = tuple(make_result(i, Status.SKIP, skip=Skip.NOT_APPLICABLE, reason=why) for i, why in reasons.items())
    groups = {why: [(r.id, more) for r, more in members] for why, members in rows.by_reason(results).items()}
    assert groups == {lead: [("data.a", "no grad"), ("data.b", "no cuda")], "no groups: give some": [("data.c", "")]}


def test_two_errors_of_one_kind_are_not_one_reason():
    results = tuple(make_result(f"data.{i}", Status.ERROR, reason=f"ValueError: {i}") for i in range(2))
    assert list(rows.by_reason(results)) == ["ValueError: 0", "ValueError: 1"]
