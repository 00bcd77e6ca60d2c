"""Gradient norms sorted by size, on hand-made traces."""

import math

from gonogo.instruments.step import gradient_scale
from gonogo.instruments.step.training_steps import Trace

MATRIX, VECTOR = (3, 4), (3,)


def trace(name: str, *norms: float | None, shape: tuple[int, ...] = MATRIX) -> Trace:
    return Trace(name, norms, 1.0, shape)


def kinds(*traces: Trace) -> dict[str, str]:
    return {one.name: one.kind for one in gradient_scale.by_parameter(traces)}


def test_a_matrix_a_million_times_smaller_than_the_median_vanishes_and_a_bias_may():
    found = kinds(
        trace("a.weight", 1e-9), trace("b.weight", 1.0), trace("c.weight", 2.0), trace("c.bias", 1e-9, shape=VECTOR)
    )
    assert found == {"a.weight": "vanishing", "b.weight": "", "c.weight": "", "c.bias": "small"}


def test_the_unit_of_the_loss_makes_nothing_vanish():
    assert set(kinds(*(trace(name, 1e-12) for name in "abc")).values()) == {"small"}


def test_nan_is_named_and_left_out_of_the_statistics():
    broken = trace("a.weight", 1.0, math.nan, 3.0)
    assert gradient_scale.broken([broken])
    [row] = gradient_scale.by_parameter([broken])
    assert (row.kind, row.mean) == ("not finite", 2.0)


def test_only_the_first_step_with_nan_names_its_parameters():
    assert gradient_scale.broken([trace("a", 1.0, 1.0, math.nan), trace("b", 1.0, math.nan, math.nan)]) == {"b"}


def test_parts_are_named_below_what_all_names_share():
    names = ["net.encoder.0.weight", "net.encoder.1.weight", "net.head.weight"]
    assert [gradient_scale.part(name, names) for name in names] == ["net.encoder", "net.encoder", "net.head"]


def test_parameters_of_the_model_itself_are_a_part_of_their_own():
    assert gradient_scale.part("scale", ["scale", "head.weight"]) == "(top)"


def test_the_norm_of_a_part_is_that_of_all_its_parameters():
    head = gradient_scale.by_part([trace("body.w", 1.0, 1.0), trace("head.w", 3.0, None), trace("head.b", 4.0, 2.0)])[1]
    assert (head.name, head.norms, head.parameters) == ("head", (5.0, 2.0), 24)


def test_one_quiet_matrix_does_not_make_a_part_vanish():
    found = gradient_scale.by_part([trace("a.0", 1e-9), trace("a.1", 1.0), trace("b.0", 1.0), trace("b.1", 1.0)])
    assert [one.kind for one in found] == ["", ""]


def test_every_row_comes_with_advice_unless_it_is_usual():
    _, each = gradient_scale.tables([trace("a", math.inf), trace("b", 1.0), trace("c", None)], frozenset())
    advice = {row[0]: row[-1] for row in each.rows}
    assert "logarithm" in str(advice["a"])
    assert advice["b"] == ""
    assert "unused" in str(advice["c"])
