"""Equal content, equal fingerprint; other content, another one."""

import dataclasses
import math
from collections import namedtuple
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gonogo.audit.fingerprints import Unreadable, fingerprint

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
nested = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


def canonical(value: object) -> object:
    """The slow twin: what counts as equal, as nested tuples."""
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value + 0.0)
    if isinstance(value, list):
        return ("list", tuple(canonical(item) for item in value))
    if isinstance(value, dict):
        return ("dict", frozenset((key, canonical(item)) for key, item in value.items()))
    return (type(value).__name__, value)


@given(nested, nested)
def test_fingerprints_are_equal_exactly_where_the_content_is(a: object, b: object) -> None:
    assert (fingerprint(a) == fingerprint(b)) == (canonical(a) == canonical(b))


@given(st.dictionaries(st.text(), leaves, min_size=2))
def test_the_order_of_a_mapping_does_not_count(content: dict[str, object]) -> None:
    assert fingerprint(content) == fingerprint(dict(reversed(content.items())))


@given(st.lists(st.text(), min_size=2, max_size=2), st.lists(st.text(), min_size=2, max_size=2))
def test_text_cannot_move_from_one_part_to_the_next(a: list[str], b: list[str]) -> None:
    assert (fingerprint(a) == fingerprint(b)) == (a == b)


@given(st.lists(st.floats(width=32), min_size=1))
def test_a_tensor_equals_the_array_with_the_same_numbers(numbers: list[float]) -> None:
    array = np.array(numbers, dtype=np.float32)
    assert fingerprint(array) == fingerprint(torch.tensor(array))


def test_zero_has_no_sign_and_every_nan_is_the_same() -> None:
    other_nan = np.array([0x7FC00001, 0xFFC00000], dtype=np.uint32).view(np.float32)
    assert fingerprint(other_nan) == fingerprint(torch.tensor([math.nan, math.nan]))
    assert fingerprint(torch.tensor([-0.0])) == fingerprint(torch.tensor([0.0]))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (torch.zeros(2, 3), torch.zeros(3, 2)),
        (torch.zeros(1), torch.zeros(())),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        (torch.ones(2, dtype=torch.bfloat16), torch.ones(2)),
        (torch.tensor([True]), torch.tensor([1], dtype=torch.uint8)),
        ({"a": 1}, {"b": 1}),
        ([[1], [2]], [[1, 2]]),
        ("1", 1),
        (np.array(["a", None], dtype=object), np.array(["b", None], dtype=object)),
    ],
)
def test_shape_type_and_names_count(a: object, b: object) -> None:
    assert fingerprint(a) != fingerprint(b)


def test_a_view_with_other_strides_is_the_same_content() -> None:
    square = torch.arange(6.0).reshape(2, 3)
    assert fingerprint(square.T) == fingerprint(square.T.contiguous())
    assert fingerprint(square.to_sparse()) == fingerprint(square)


def test_the_input_is_left_as_it_was() -> None:
    array = np.array([-0.0, math.nan])
    fingerprint(array)
    assert math.copysign(1, array[0]) == -1


class Picture:
    def __init__(self, pixels: bytes, size: tuple[int, int] = (2, 1)) -> None:
        self.mode, self.size, self.pixels = "L", size, pixels

    def getbands(self) -> tuple[str]:
        return ("L",)

    def tobytes(self) -> bytes:
        return self.pixels


def test_a_picture_is_its_mode_size_and_pixels() -> None:
    assert fingerprint(Picture(b"ab")) == fingerprint(Picture(b"ab"))
    assert fingerprint(Picture(b"ab")) != fingerprint(Picture(b"ba"))
    assert fingerprint(Picture(b"ab")) != fingerprint(Picture(b"ab", (1, 2)))


def test_dataclasses_named_tuples_paths_and_dates_are_read() -> None:
    point, record = namedtuple("point", "x y"), dataclasses.make_dataclass("record", ["x", "y"])
    assert fingerprint(point(1, 2)) == fingerprint(record(1, 2)) == fingerprint({"x": 1, "y": 2})
    assert fingerprint(Path("a")) == fingerprint("a")
    assert fingerprint(date(2026, 1, 1)) != fingerprint(date(2026, 1, 2))


def test_an_unknown_object_is_unreadable_and_its_code_never_runs() -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            raise AssertionError("pickled")

    with pytest.raises(Unreadable, match="Trap"):
        fingerprint({"a": [Trap()]})


def test_endless_nesting_is_unreadable() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(Unreadable, match="deep"):
        fingerprint(endless)
