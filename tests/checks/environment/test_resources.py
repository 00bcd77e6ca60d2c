"""What the machine has is held against thresholds; only arithmetic fails."""

from dataclasses import replace

import pytest

from gonogo.checks.environment.resources import resources
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS
from gonogo.training.session import Session

CHECK = resources.check  # type: ignore[attr-defined]


@pytest.mark.requirement("MAFT-5.1")
def test_processors_memory_disk_and_gpus_are_listed():
    found = resources(Session(TOYS["classifier"]()))
    names = [str(row[0]) for row in found.tables[0].rows]
    assert {"cores for this process", "memory for this process", "free on it"} <= set(names)
    assert any(name.startswith("GPU") for name in names)


@pytest.mark.requirement("MAFT-5.3")
def test_what_is_below_a_threshold_is_told_in_bytes():
    found = resources(Session(TOYS["classifier"]()), min_memory_gb=1e6, min_disk_gb=1e6, min_cores=1e4).measurements
    assert found["missing_memory"].value > 9e14  # type: ignore[operator]
    assert found["missing_disk"].value > 9e14  # type: ignore[operator]
    assert found["missing_cores"].value > 9e3  # type: ignore[operator]


@pytest.mark.requirement("MAFT-5.3")
def test_thresholds_that_are_met_leave_nothing_missing():
    found = resources(Session(TOYS["classifier"]()), min_memory_gb=0.0, min_disk_gb=0.0).measurements
    assert found["missing_memory"].value == found["missing_disk"].value == 0


def test_a_machine_that_is_small_warns_and_does_not_fail():
    limits = [criterion for criterion in CHECK.criteria if criterion.measure.startswith("missing")]
    assert all(criterion.tolerate.hi is None for criterion in limits)


def test_a_run_without_a_configuration_is_asked_too():
    assert answer(CHECK, replace(TOYS["classifier"](), config=None)).status is not Status.SKIP
