import json

import pytest
from tests.reports.conftest import make_report, make_result

from gonogo.core.criterion import Status, at_least, at_most
from gonogo.core.measurement import Evidence, Measurement, Table
from gonogo.core.plan import Skip
from gonogo.reports import as_html, as_json, as_markdown, as_text
from gonogo.reports.launch import launch, unknown_together

pytestmark = pytest.mark.requirement("MAFT-10.4")

ROOM = [(at_least("headroom", fail=0, source="s"), Measurement(0.4))]
ANSWER = Table("Answer", ("quantity", "value"), (("device", "T4, 16.0 GiB"), ("needed", "9.10 GiB, 3% uncertain")))
COST = Table(
    "Time and cost: likely (from .. to)", ("quantity", "value"), (("hours", "40 (30 .. 60)"), ("money, USD", "12.5"))
)
RENT = Table(
    "What to rent",
    ("quantity", "value"),
    (
        ("memory, peak times 1.5", "3.1 GB"),
        ("GPU memory", "1 GB"),
        ("host", "c7i.large"),
        ("GPU", "T4"),
        ("whole run, at the speed seen here", "2 hours"),
        ("cost of the whole run", "unknown"),
    ),
)


def sized(*tables):
    return make_result("sizing.memory-headroom", measured=ROOM, tables=tables, evidence=Evidence.PROXY)


def test_what_was_measured_is_told_with_its_check_and_its_evidence():
    found = launch(make_report(sized(ANSWER, COST)))
    told = {need.what: (need.value, need.source, need.evidence) for need in found.needs}
    assert told["memory"] == ("9.10 GiB, 3% uncertain", "sizing.memory-headroom", "proxy")
    assert told["device or instance"][0] == "T4, 16.0 GiB"
    assert told["time of the full run"][0] == "40 (30 .. 60)"
    assert told["cost of the full run"][0] == "12.5"
    assert found.unknown == ()


def test_a_prediction_goes_before_what_was_sampled_here():
    used = make_result(
        "efficiency.resource-use", measured=[(at_most("peak", warn=1, source="s"), Measurement(0.5))], tables=[RENT]
    )
    assert launch(make_report(used, sized(ANSWER))).needs[0].source == "sizing.memory-headroom"
    found = launch(make_report(used))
    assert [need.value for need in found.needs] == ["3.1 GB", "host c7i.large; GPU T4", "2 hours"]
    assert [what for what, _ in found.unknown] == ["cost of the full run"]


def test_a_watched_script_tells_its_pace_and_its_memory_and_nobody_misses_them_elsewhere():
    seen = Table("Seen here", ("quantity", "value"), (("step", "0.03 s"), ("peak", "490 MB")))
    found = launch(make_report(make_result("watch.resources", measured=ROOM, tables=[seen])))
    assert {need.what: need.value for need in found.needs} == {"memory": "490 MB", "time of a step, here": "0.03 s"}
    assert "time of an epoch, here" not in [what for what, _ in found.unknown]
    assert {why for _, why in found.unknown if "Claims" in why} == set()  # such a script has none


def test_nothing_is_guessed_and_the_reason_is_that_of_the_checks():
    unsized = make_result(
        "sizing.memory-headroom", Status.SKIP, skip=Skip.NOT_APPLICABLE, reason="no device is claimed"
    )
    found = launch(make_report(unsized))
    assert found.needs == ()
    (line,) = unknown_together(found)
    assert line == (
        "memory, device or instance, time of the full run, cost of the full run: not measured (no device is claimed)"
    )


def test_without_a_check_that_sizes_the_way_to_know_is_told(go):
    assert all("gonogo size SUBJECT --gpu DEVICE" in why for _, why in launch(go).unknown)


def test_a_part_that_is_missing_is_unknown_alone():
    assert [what for what, _ in launch(make_report(sized(ANSWER))).unknown] == [
        "time of the full run",
        "cost of the full run",
    ]


def test_what_a_proxy_takes_is_not_what_the_full_run_takes():
    found = launch(make_report(sized(ANSWER, COST), proxy="a quarter of the width"))
    assert all(need.what.endswith(", of the proxy") for need in found.needs)
    assert found.unknown == (("the full-size run", "only its proxy was measured: a quarter of the width"),)


def test_only_a_go_is_ready_and_the_blockers_are_the_reasons(go, no_go, hold):
    assert launch(go).ready
    assert launch(go).blockers == ()
    assert not launch(hold).ready
    assert launch(hold).answer == "Not known to be ready: 1 required check did not run."
    assert [result.id for result in launch(no_go).blockers] == [result.id for result in no_go.reasons]


@pytest.mark.parametrize("format", [as_html, as_markdown, as_text])
def test_every_format_for_people_has_the_section(format):
    text = format.render(make_report(sized(ANSWER)))
    assert "Launch" in text
    assert "9.10 GiB" in text
    assert "ready to launch" in text.lower()


@pytest.mark.requirement("MAFT-10.2")
def test_the_json_has_it_with_when_and_with_which_version(no_go):
    content = json.loads(as_json.render(no_go))
    assert content["launch"]["ready"] is False
    assert content["launch"]["blockers"][0]["id"] == "data.split-overlap"
    assert content["started"] == "2026-11-20T09:30:00"
    assert content["gonogo"] == "0.1.0"
    assert content["environment"]["torch"] == "2.13.0+cpu"
