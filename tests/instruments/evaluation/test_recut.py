"""Batches cut anew hold the same rows in the same order, or nothing is said."""

import pytest
import torch

from gonogo.errors import NotApplicable
from gonogo.instruments.evaluation.recut import merged, recut

X, Y = torch.randn(10, 3), torch.arange(10)


def batches(*sizes, make):
    return [make(x, y) for x, y in zip(X.split(sizes), Y.split(sizes), strict=True)]


FORMS = {
    "tuple": lambda x, y: (x, y),
    "dict": lambda x, y: {"x": x, "more": {"y": y}},
    "tensor": lambda x, y: x,
    "array": lambda x, y: {"x": x.numpy(), "y": y},
    "with weights per class and a switch": lambda x, y: {"x": x, "y": y, "weights": torch.ones(7), "train": False},
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_rows_come_in_other_batches(form):
    make = FORMS[form]
    again = recut(batches(4, 4, 2, make=make), 3)
    whole, rows = merged(again)
    assert len(again) == 4
    assert rows == 10
    expected = dict(zip("ab", (make(X, Y), whole), strict=True))
    assert str(expected["a"]) == str(expected["b"])


REFUSED = {
    "padded to the longest": [(torch.ones(2, 5), Y[:2]), (torch.ones(3, 7), Y[:3])],
    "texts": [{"x": X[:2], "text": ["a", "b"]}, {"x": X[2:5], "text": ["c", "d", "e"]}],
    "weights that might be rows": [{"x": X[:2], "w": torch.ones(2)}, {"x": X[2:4], "w": torch.ones(2)}],
    "edges": [{"x": X[:2], "edges": torch.ones(2, 9)}, {"x": X[2:5], "edges": torch.ones(2, 7)}],
    "other fields": [{"x": X[:2]}, {"y": Y[:2]}],
}


@pytest.mark.parametrize("name", REFUSED)
def test_fields_without_certain_rows_are_refused(name):
    with pytest.raises(NotApplicable):
        recut(REFUSED[name], 2)
