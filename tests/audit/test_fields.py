"""Which field is what."""

from typing import Any

import pytest
import torch

from gonogo.audit import fields
from gonogo.training.claims import Claims

X, Y = torch.ones(3), torch.tensor(1)


@pytest.mark.parametrize(
    ("sample", "claims", "given", "target"),
    [
        ((X, Y), Claims(), [X], Y),
        ((X, Y), Claims(target=0), [Y], X),
        ((X,), Claims(), (X,), None),
        ({"x": X, "labels": Y}, Claims(), {"x": X}, Y),
        ({"x": X, "age": Y}, Claims(target="age"), {"x": X}, Y),
        ({"x": X}, Claims(), {"x": X}, None),
        ({"x": X, "id": 7, "path": "a", "y": Y}, Claims(), {"x": X}, Y),
        ({"user_id": 1, "item_id": 2, "rating": 5.0}, Claims(), {"user_id": 1, "item_id": 2}, 5.0),
        ({"x": X, "stem": "a", "y": Y}, Claims(group_key="stem"), {"x": X}, Y),
        ([4, 8, 15], Claims(), [4, 8, 15], None),
        ({"id": 3, "label": Y}, Claims(), {"id": 3}, Y),
    ],
)
def test_roles(sample: Any, claims: Claims, given: Any, target: Any) -> None:
    found = fields.roles(sample, claims)
    assert (found.input, found.target) == (given, target)


def test_several_targets_are_kept_together() -> None:
    assert fields.roles({"x": X, "start_label": 1, "end_label": 2}, Claims()).target == {
        "start_label": 1,
        "end_label": 2,
    }


def test_the_target_says_how_many_samples_a_batch_of_graphs_has() -> None:
    batch = {"nodes": torch.ones(9, 2), "graph_of": torch.ones(9), "label": torch.ones(3)}
    assert fields.rows_of(batch, Claims()) == 3


@pytest.mark.parametrize("group", [3, torch.tensor(3), torch.tensor([3])])
def test_a_group_is_named_alike_as_number_and_tensor(group: Any) -> None:
    assert fields.name_of(group) == "3"
