"""The memory, time and money of a run are told from a few steps of it."""

from dataclasses import replace

import pytest

from gonogo.checks.efficiency.resource_use import resource_use
from gonogo.core.measurement import Observation
from gonogo.testing.toys import TOYS
from gonogo.training.session import Session
from gonogo.training.subject import Subject


def seen(subject: Subject) -> tuple[Observation, dict[str, str]]:
    found = resource_use(Session(subject), steps=8)
    return found, {str(row[0]): str(row[1]) for row in found.tables[-1].rows}


@pytest.mark.requirement("MAFT-5.2", "MAFT-10.3")
def test_use_over_time_is_drawn_and_peaks_are_said_for_people():
    found, _ = seen(TOYS["classifier"]())
    assert found.tables[0].kind == "line"
    peaks = {str(row[0]): str(row[1]) for row in found.tables[2].rows}
    assert peaks["resident"].endswith(("MB", "GB"))
    assert "cores" in peaks["load of the machine"]


@pytest.mark.requirement("MAFT-5.4", "MAFT-10.4")
def test_the_claimed_steps_give_the_cost_of_the_whole_run():
    found, rent = seen(TOYS["classifier"]().with_claims(total_steps=10_000_000))
    step = found.measurements["step"].value
    assert step is not None
    hours = float(rent["whole run, at the speed seen here"].split()[0])
    assert hours == pytest.approx(step * 1e7 / 3600, rel=0.01)
    assert rent["cost of the whole run"].endswith("USD")
    assert "2025-10" in rent["price of the host"]


@pytest.mark.requirement("MAFT-5.4")
def test_epochs_of_the_configuration_are_steps_where_none_are_claimed():
    _, rent = seen(replace(TOYS["classifier"](), config={"epochs": 1_000_000}))
    assert "hours" in rent["whole run, at the speed seen here"]


def test_a_number_of_steps_below_zero_leaves_it_to_the_epochs():
    _, rent = seen(replace(TOYS["classifier"](), config={"max_steps": -1, "epochs": 1_000_000}))
    assert "hours" in rent["whole run, at the speed seen here"]


@pytest.mark.requirement("MAFT-5.4")
def test_without_a_length_of_the_run_there_is_advice():
    _, rent = seen(replace(TOYS["classifier"](), config=None))
    assert "total_steps" in rent["whole run"]
    assert "whole run, at the speed seen here" not in rent


@pytest.mark.requirement("MAFT-5.4")
def test_the_needed_memory_is_the_peak_and_a_half():
    measured = seen(TOYS["classifier"]())[0].measurements
    assert measured["needed_memory"].value == pytest.approx(1.5 * measured["peak"].value)  # type: ignore[operator]
