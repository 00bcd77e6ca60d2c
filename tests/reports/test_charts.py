import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.reports.conftest import ATTENTION, HISTOGRAM, NORMS, curve

from gonogo.core.measurement import Table
from gonogo.reports import chart_heat, charts, svg

numbers = st.one_of(st.integers(-(10**320), 10**320), st.floats(allow_nan=True))
cells = st.one_of(numbers, st.none(), st.text(max_size=20), st.just("nan"))


@st.composite
def tables(draw):
    columns = draw(st.lists(st.text(max_size=60), min_size=1, max_size=12))
    width = st.sampled_from([len(columns), max(1, len(columns) - 1), len(columns) + 1])
    # Columns of numbers are drawn as such; mixed rows test the gaps.
    cell = draw(st.sampled_from([cells, numbers, st.floats(0, 1), st.just(7)]))
    rows = draw(st.lists(width.flatmap(lambda n: st.lists(cell, min_size=n, max_size=n).map(tuple)), max_size=12))
    return Table(
        draw(st.text(max_size=30)), tuple(columns), tuple(rows), draw(st.sampled_from(["line", "bar", "heatmap"]))
    )


def coordinates(picture):
    return [float(n) for n in re.findall(r' (?:x|y|x1|x2|y1|y2|cx|cy|width|height)="([^"]*)"', picture)]


@settings(max_examples=200, deadline=None)
@given(tables())
@example(Table("decades without end", ("x", "y"), ((0, 1e-300), (1, 1.0), (2, 10**320)), "line"))
@example(Table("wide", ("x", "y"), ((0, 1e-199), (1, 10**320)), "line"))
def test_any_table_becomes_well_formed_xml_inside_its_frame(table):
    picture = charts.draw(table, "f")
    assert charts.finding(table)
    if picture:
        root = ET.fromstring(picture)
        height = float(root.get("viewBox").split()[3])
        assert all(-1 <= value <= max(height, svg.WIDTH) + 1 for value in coordinates(picture))
        assert not re.search(r'(="|[ ML,])-?(nan|inf)', " ".join(re.findall(r'(?:d|transform)="[^"]*"', picture)))


@pytest.mark.parametrize("table", [NORMS, HISTOGRAM, ATTENTION, curve()], ids=lambda table: table.title)
def test_a_picture_is_announced_by_title_and_finding(table):
    root = ET.fromstring(charts.draw(table, "f"))
    named = {child.get("id"): child.text for child in root}
    assert root.get("aria-labelledby") == "f-title f-desc"
    assert named["f-title"] == table.title
    assert named["f-desc"] == charts.finding(table)


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (NORMS, "5 values, from 0 (bridge.query) to 3.1 (lm_head)."),
        (ATTENTION, "15 values, from 0 (q0, pad) to 0.9 (q3, image). 1 cell without a number."),
        (Table("", ("x", "y"), ((1, 5),), "line"), "y is 5 at x 1."),
        (Table("", ("x", "y"), ((1, 5), (2, 5)), "line"), "y stays at 5."),
        (Table("", ("x", "y"), ((1, 5), (2, 3), (3, 4)), "line"), "y goes from 5 to 4, lowest 3 at x 2."),
        (Table("", ("x", "y"), ((1, "nan"),), "line"), "There is no number to draw."),
        (Table("", ("x", "y"), (), "bar"), "There are no rows."),
        (Table("", ("x",), ((1,),), "table", total=9), "1 of 9 rows"),
    ],
)
def test_the_finding_is_said_in_numbers(table, text):
    assert charts.finding(table) == text


def test_a_spike_survives_thinning():
    rows = tuple((i, 1000.0 if i == 313 else 1.0 + i / 1e6) for i in range(500))
    picture = charts.draw(Table("", ("x", "y"), rows, "line"), "f")
    path = ET.fromstring(picture).find("path").get("d")
    heights = [float(point.split()[1]) for point in re.split("[ML]", path) if point]
    assert min(heights) < 60 < max(heights)
    assert len(heights) <= 252


def test_a_gap_breaks_the_curve_and_a_lone_point_is_a_dot():
    rows = ((0, 1.0), (1, None), (2, 3.0), (3, 4.0))
    picture = charts.draw(Table("", ("x", "y"), rows, "line"), "f")
    assert picture.count("<circle") == 1
    assert ET.fromstring(picture).find("path").get("d").count("M") == 1


def test_a_wide_positive_range_is_drawn_in_decades():
    assert "logarithmic scale" in charts.draw(curve(500, start=2000), "f")
    assert "logarithmic scale" not in charts.draw(curve(), "f")


def test_negative_bars_lie_left_of_zero():
    picture = charts.draw(Table("", ("name", "v"), (("a", -4.0), ("b", 4.0)), "bar"), "f")
    left, right = (float(x) for x in re.findall(r'<rect class="bar" x="([^"]*)"', picture))
    zero = float(re.search(r'class="zero" x1="([^"]*)"', picture)[1])
    assert left < zero == right


def test_numeric_labels_make_a_histogram():
    standing = re.findall(r'class="bar" x="[^"]*" y="([^"]*)"', charts.draw(HISTOGRAM, "f"))
    assert len(set(standing)) > 5


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        (None, None),
        ("3", None),
        ("nan", None),
        (float("inf"), None),
        (3, 3.0),
        (10**400, 1e200),
        (-1e300, -1e200),
        (1e-300, 0),
    ],
)
def test_a_cell_is_drawn_only_if_it_is_a_number_and_never_beyond_the_drawable(cell, number):
    assert svg.as_number(cell) == number


def test_series_that_are_not_drawn_are_mentioned():
    table = Table("", ("x", *"abcdefghij"), (tuple(range(11)),), "line")
    assert charts.finding(table).endswith("The first 8 of 10 series are drawn.")


@pytest.mark.parametrize("value", [x / 20 for x in range(-20, 21)])
def test_a_number_on_a_heat_map_can_be_read(value):
    background = chart_heat.colour(svg.Scale(-1, 1, 0, 1), value)
    light, dark = sorted((chart_heat.luminance(c) for c in (background, chart_heat.ink_on(background))), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ((0, 1), ["0", "0.25", "0.50", "0.75", "1.00"]),
        ((0, 4000), ["0", "1,000", "2,000", "3,000", "4,000"]),
        ((-2, 2), ["-2", "-1", "0", "1", "2"]),
        ((0, 3e-9), ["0", "1e-9", "2e-9", "3e-9"]),
    ],
)
def test_ticks_are_round_numbers(values, labels):
    assert [label for _, label in svg.scale(values, 0, 100).ticks()] == labels


@pytest.mark.requirement("MAFT-10.3")
def test_an_interval_is_a_whisker_from_low_to_high():
    rows = (("ours", 0.5, 0.25, 1.0), ("late", 0.25, None, None))
    picture = ET.fromstring(charts.draw(Table("b", ("variant", "accuracy", "low", "high"), rows, "bar"), "f"))
    line, *ends = [e for e in picture if e.get("class") == "whisker"]
    bar, other = [e for e in picture if e.get("class") == "bar"]
    zero, width = float(bar.get("x")), float(bar.get("width"))
    assert float(line.get("x1")) == pytest.approx(zero + width / 2, abs=0.2)
    assert float(line.get("x2")) == pytest.approx(zero + width * 2, abs=0.2)
    assert [e.get("x1") for e in ends] == [line.get("x1"), line.get("x2")]
    assert float(other.get("width")) == pytest.approx(width / 2, abs=0.2)


def test_other_columns_of_bars_are_no_interval():
    picture = charts.draw(Table("b", ("layer", "norm", "share", "high"), (("a", 1.0, 0.1, 2.0),), "bar"), "f")
    assert "whisker" not in picture
