import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.core.criterion import at_least, at_most, within
from gonogo.core.measurement import Measurement
from gonogo.reports import chart_gauge
from gonogo.reports.rows import Row


def draw(criterion, measurement):
    return chart_gauge.draw(Row("x", measurement, criterion, criterion.judge(measurement).status), "g")


def zone(picture, name):
    x, width = re.search(rf'class="zone-{name}" x="([^"]*)" y="[^"]*" width="([^"]*)"', picture).groups()
    return float(x), float(x) + float(width)


def marker(picture):
    return float(re.search(r'class="marker" d="M([\d.]+)', picture)[1])


@pytest.mark.parametrize(
    ("criterion", "value", "where"),
    [
        (at_most("x", warn=1, fail=2, source=""), 0.5, "pass"),
        (at_most("x", warn=1, fail=2, source=""), 1.5, "warn"),
        (at_most("x", warn=1, fail=2, source=""), 3, "fail"),
        (at_least("x", warn=2, fail=1, source=""), 3, "pass"),
        (at_least("x", warn=2, fail=1, source=""), 0.5, "fail"),
        (within("x", warn=(1, 2), fail=(0, 3), source=""), 2.5, "warn"),
        (within("x", fail=(0, 0), source=""), 0, "pass"),
        (at_most("x", fail=1e-3, source=""), 50.0, "fail"),
    ],
)
def test_the_marker_lies_in_the_zone_of_its_verdict(criterion, value, where):
    picture = draw(criterion, Measurement(value))
    inside = [
        name for name in ("pass", "warn", "fail") if zone(picture, name)[0] <= marker(picture) <= zone(picture, name)[1]
    ]
    assert inside[0] == where


def test_a_value_far_below_its_limit_is_shown_apart_from_it():
    picture = draw(at_most("x", warn=1e-3, fail=1e-1, source=""), Measurement(1e-7))
    assert zone(picture, "pass")[1] - marker(picture) > 50


def test_the_zones_differ_in_thickness_and_not_only_in_colour():
    picture = draw(within("x", warn=(1, 2), fail=(0, 3), source=""), Measurement(1.5))
    assert len(set(re.findall(r'class="zone-\w+".*? height="([^"]*)"', picture))) == 3


def test_the_interval_is_drawn_and_told():
    picture = draw(at_most("x", fail=1, source=""), Measurement(0.5, low=0.4, high=0.8, n=9))
    assert 'class="whisker"' in picture
    assert "Measured 0.5 [0.4, 0.8] (n = 9), expected at most 1: PASS." in picture


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_has_no_place_on_a_line(value):
    assert draw(at_most("x", fail=1, source=""), Measurement(value)) == ""


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite, finite, st.tuples(finite, finite).map(sorted))
def test_any_numbers_stay_inside_the_frame(value, low, limits):
    measurement = Measurement(value, "s", low=min(value, low))
    picture = draw(within("x", fail=tuple(limits), source=""), measurement)
    ET.fromstring(picture)
    places = [float(n) for n in re.findall(r' (?:x|x1|x2|width)="([^"]*)"', picture)]
    assert all(-20 <= place <= 480 for place in places)
