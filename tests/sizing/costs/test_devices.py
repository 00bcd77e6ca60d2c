import contextlib
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.errors import SubjectError
from gonogo.sizing.costs.devices import GIB, TERA, aliases, device, parse, table

ROWS = pytest.mark.parametrize("row", table().values(), ids=lambda row: row.name)
NAMES = st.sampled_from(sorted([*table(), *aliases()]))
TYPES = {"float64", "float32", "tf32", "float16", "bfloat16"}


@ROWS
def test_every_row_is_complete_positive_and_dated(row):
    links = (row.host_link_bytes_per_second, row.peer_link_bytes_per_second)
    figures = (row.memory_bytes, row.bandwidth, row.power_watts, row.price_per_hour, row.context_bytes, *links)
    assert all(figure > 0 for figure in (*figures, *row.flops.values()))
    assert row.flops.keys() >= TYPES
    assert row.price_source
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", row.price_date)


@ROWS
def test_narrower_types_are_not_slower_where_they_have_units(row):
    assert row.flops["float64"] <= row.flops["float32"] <= row.flops["tf32"]
    if row.name != "cpu":
        assert row.flops["tf32"] <= row.flops["float16"]
    assert row.flops["bfloat16"] <= row.flops["float16"]
    assert row.flops.get("float8", row.flops["float16"]) >= row.flops["float16"]


@ROWS
def test_context_is_a_small_part_of_the_memory(row):
    assert row.context_bytes < row.memory_bytes / 10


@ROWS
def test_figures_have_the_magnitude_of_their_unit(row):
    assert row.memory_bytes > GIB
    assert 1e10 <= row.bandwidth <= 1e13
    assert 1e11 <= row.flops["float32"] <= 1e15


@pytest.mark.parametrize(
    ("slower", "faster"),
    [("T4", "L4"), ("A100-40GB", "A100-80GB"), ("A100", "H100"), ("H100-PCIe", "H100"), ("H200", "B200")],
)
def test_generations_are_in_order(slower, faster):
    assert device(slower).peak("bfloat16") <= device(faster).peak("bfloat16")
    assert device(slower).bandwidth <= device(faster).bandwidth or faster == "L4"


def test_peaks_are_dense():
    assert device("A5000").peak("bfloat16") == pytest.approx(111.1 * TERA)
    assert device("H100").peak("bfloat16") == pytest.approx(989.4 * TERA)


def test_a_bare_family_name_means_one_member_and_says_which():
    assert device("A100").name == "A100-80GB"
    assert device("H100").name == "H100-SXM"


@given(NAMES, st.sampled_from([str.upper, str.lower, lambda n: n.replace("-", " "), lambda n: f"NVIDIA {n}"]))
def test_the_way_a_name_is_written_does_not_matter(name, written):
    assert device(written(name)) == device(name)


@given(st.lists(st.tuples(st.integers(1, 64), NAMES), min_size=1, max_size=5))
def test_counts_add_up_and_memory_does_not(wanted):
    parsed = parse(",".join(f"{count}x{name}" for count, name in wanted))
    assert sum(count for count, _ in parsed) == sum(count for count, _ in wanted)
    assert all(one == table()[one.name] for _, one in parsed)
    assert len({one.name for _, one in parsed}) == len(parsed)


def test_several_kinds_stay_apart():
    assert [(n, one.name) for n, one in parse("1xA100-80GB, 2xL40S")] == [(1, "A100-80GB"), (2, "L40S")]
    assert [(n, one.name) for n, one in parse("6000 Ada")] == [(1, "RTX-6000-Ada")]


@pytest.mark.parametrize("text", ["", "2x", "0xA100", "-1xA100", "2xA100,", "A100x2", "99999999999xA100"])
def test_what_is_no_count_of_a_device_is_refused(text):
    with pytest.raises(SubjectError):
        parse(text)


def test_an_unknown_name_lists_the_nearest():
    with pytest.raises(SubjectError, match="the nearest are H100"):
        device("H1000")
    with pytest.raises(SubjectError, match="known are"):
        device("zzzzqqqq")


@given(st.text(max_size=20))
def test_any_text_is_understood_or_refused(text):
    with contextlib.suppress(SubjectError):
        assert parse(text)


def test_the_table_is_read_without_torch():
    code = "import sys, gonogo.sizing.costs.devices as d; d.device('A100'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
