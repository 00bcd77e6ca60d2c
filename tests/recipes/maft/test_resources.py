"""What the recipe takes of a machine, and what to rent for it."""

import pytest

from gonogo.checks.efficiency.resource_use import resource_use
from gonogo.checks.environment.resources import resources
from gonogo.core.measurement import Observation
from gonogo.training.session import Session
from gonogo_recipes.maft.subject import build

SMALL = {"size": "tiny", "data.samples": 64, "data.valid_samples": 32, "data.test_samples": 32}


@pytest.fixture(scope="module")
def seen() -> Observation:
    return resource_use(Session(build(None, **SMALL)), steps=8, seconds=5.0, every=0.05)  # type: ignore[arg-type]


@pytest.mark.requirement("MAFT-5.1", "MAFT-5.3")
def test_the_machine_holds_the_tiny_run():
    found = resources(Session(build(None, **SMALL)), min_memory_gb=0.1, min_disk_gb=0.01)  # type: ignore[arg-type]
    assert found.measurements["missing_memory"].value == 0
    assert found.measurements["missing_disk"].value == 0
    assert found.measurements["weights_over_free"].value < 1  # type: ignore[operator]


@pytest.mark.requirement("MAFT-5.2", "MAFT-10.3")
def test_training_is_sampled_with_peaks(seen: Observation):
    assert seen.tables[0].kind == "line"
    assert len(seen.tables[0].rows) >= 2
    assert seen.measurements["peak"].value > 0  # type: ignore[operator]


@pytest.mark.requirement("MAFT-5.4", "MAFT-10.4")
def test_the_whole_run_has_a_host_a_time_and_a_cost(seen: Observation):
    rent = {str(row[0]): str(row[1]) for row in seen.tables[-1].rows}
    assert "cores" in rent["host"]
    assert {"memory, peak times 1.5", "GPU", "cost of the whole run"} <= set(rent)
    assert rent["whole run, at the speed seen here"].split()[1] in ("minutes", "hours")
