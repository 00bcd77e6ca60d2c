"""What to rent follows from what was seen: the cheapest row that holds it, with its date."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.errors import SubjectError
from gonogo.sizing.card.allocator import GIB
from gonogo.sizing.costs import cloud
from gonogo.sizing.costs.cloud import Need


def need(**changes: float) -> Need:
    given = {"resident": 2e9, "added": 5e8, "cores": 1.8, "gpu": 0.0, "step": 0.5} | changes
    return cloud.need(**given, steps=7_200)  # type: ignore[arg-type]


def said(wanted: Need) -> dict[str, str]:
    return {str(row[0]): str(row[1]) for row in cloud.table(wanted).rows}


@pytest.mark.requirement("MAFT-5.4")
def test_memory_is_the_peak_and_a_half():
    assert need(resident=4e9).memory == 6e9


@pytest.mark.requirement("MAFT-5.4")
@given(st.floats(1e6, 4e11), st.floats(0.5, 60))
def test_the_cheapest_host_that_holds_the_run_is_named(memory: float, cores: float):
    wanted = need(resident=memory, cores=cores)
    found = cloud.host(wanted)
    larger = [one for one in cloud.hosts() if one.memory >= wanted.memory and one.cores >= wanted.cores]
    if found is None:
        assert not larger
    else:
        assert found.memory >= wanted.memory
        assert all(found.price <= one.price for one in larger)


@pytest.mark.requirement("MAFT-5.4")
def test_a_run_that_no_host_holds_is_told_so():
    assert cloud.host(need(resident=1e13)) is None
    assert ("host", "none of the table is large enough") in cloud.table(need(resident=1e13)).rows


@pytest.mark.requirement("MAFT-5.4")
def test_the_accelerator_holds_the_run_beside_its_context():
    found = cloud.gpu(need(gpu=20e9))
    assert found is not None
    assert found.memory_bytes - found.context_bytes >= 30e9


@pytest.mark.requirement("MAFT-5.4")
def test_time_and_cost_are_those_of_the_whole_run():
    rows = said(need())
    host = cloud.host(need())
    assert host is not None
    assert rows["whole run, at the speed seen here"] == "1 hours"
    assert rows["cost of the whole run"] == f"{host.price:.2f} USD"


def test_on_a_gpu_the_price_is_the_gpus():
    rows = said(need(gpu=1e9))
    assert rows["host"] == "as the GPU comes with"
    assert "time on the GPU" not in rows


def test_unknown_steps_give_no_cost_but_advice():
    wanted = cloud.need(resident=1e9, added=0.0, cores=1.0, gpu=0.0, step=0.1, steps=None)
    assert "total_steps" in said(wanted)["whole run"]


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused_by_name(value: float):
    with pytest.raises(SubjectError, match="resident"):
        need(resident=value)


def test_every_host_says_where_its_price_is_from_and_of_when():
    assert all("2025-10" in one.source for one in cloud.hosts())
    assert all(one.memory >= 4 * GIB for one in cloud.hosts())
