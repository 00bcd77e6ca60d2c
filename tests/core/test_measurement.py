import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gonogo.core.measurement import MAX_POINTS, MAX_ROWS, Measurement, Table
from gonogo.core.report import Observation, Outcome, outcome_to_dict


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["value", "low", "high"])
def test_a_number_that_is_not_finite_is_named_and_leaves_no_value(field, bad):
    measured = Measurement(**{"value": 1.0, field: bad}, n=3)
    assert measured.non_finite == str(bad)
    assert measured.interval is None
    assert (measured.value, measured.low, measured.high, measured.n) == (None, None, None, 3)


def test_without_bounds_the_interval_is_the_value():
    assert Measurement(3.0).interval == (3.0, 3.0)


def test_an_open_bound_of_the_interval_is_the_value():
    assert Measurement(3.0, low=2.0).interval == (2.0, 3.0)
    assert Measurement(3.0, high=4.0).interval == (3.0, 4.0)


@pytest.mark.parametrize("scalar", [np.float32(0.5), np.int64(2), torch.tensor(0.5)])
def test_scalars_of_other_libraries_become_plain_numbers(scalar):
    measured = Measurement(scalar, low=scalar, high=scalar, n=np.int64(4))
    assert json.dumps(outcome_to_dict(Outcome(Observation({"x": measured}))), allow_nan=False)
    assert measured.interval == (scalar.item(), scalar.item())


def test_a_long_table_is_cut_and_says_how_long_it_was():
    table = Table("t", ("i",), tuple((i,) for i in range(MAX_ROWS + 7)))
    assert len(table.rows) == MAX_ROWS
    assert table.total == MAX_ROWS + 7


def test_a_total_that_the_check_knows_is_kept():
    assert Table("t", ("i",), ((1,),), total=1000).total == 1000


@given(st.integers(MAX_POINTS - 2, 5 * MAX_POINTS))
def test_a_long_line_is_thinned_but_keeps_both_ends(length):
    rows = Table("t", ("i",), tuple((i,) for i in range(length)), "line").rows
    assert len(rows) <= MAX_POINTS
    assert (rows[0], rows[-1]) == ((0,), (length - 1,))


def test_a_line_that_fits_is_not_thinned():
    rows = tuple((i,) for i in range(MAX_POINTS))
    assert Table("t", ("i",), rows, "line").rows == rows


@pytest.mark.parametrize(
    ("cell", "shown"),
    [(math.nan, "nan"), (np.float32(0.5), 0.5), (torch.tensor(3), 3), (np.float32("inf"), "inf"), (None, None)],
)
def test_cells_become_plain_json_types(cell, shown):
    [[kept]] = Table("t", ("x",), ((cell,),)).rows
    assert (kept, type(kept)) == (shown, type(shown))


def test_a_cell_of_any_other_type_is_shown_as_text():
    assert Table("t", ("x",), (((1, 2),),)).rows == (("(1, 2)",),)
