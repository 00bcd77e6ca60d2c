"""Shares by group, from lists and from fields."""

from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from gonogo.checks.data.group_overlap import group_overlap
from gonogo.core.measurement import Observation
from gonogo.errors import NotApplicable
from gonogo.training.claims import Claims
from gonogo.training.session import Session
from gonogo.training.subject import Split, Subject


def rows(groups: list[Any]) -> Any:
    return lambda: DataLoader([{"x": torch.rand(3), "stem": group} for group in groups], 2)  # type: ignore[arg-type]


def ask(train: Any, valid: Any, **claims: Any) -> Observation:
    splits = {"train": train, "valid": valid}
    return group_overlap(Session(Subject("s", splits=splits, claims=Claims(**claims))))


def test_the_share_counts_samples_not_groups() -> None:
    found = ask(rows(["a", "b"]), rows(["b", "b", "b", "c"]), group_key="stem")
    assert found.measurements["shared"].value == 0.75
    assert found.tables[0].rows == (("valid", "b", 3, 1),)


def test_a_list_of_groups_is_taken_as_given_and_meets_a_field() -> None:
    listed = Split(rows(["x", "x"]), groups=lambda: torch.tensor([1, 2]))  # type: ignore[arg-type, return-value]
    assert ask(listed, rows([2, 3]), group_key="stem").measurements["shared"].value == 0.5


def test_a_split_without_groups_says_what_to_give() -> None:
    with pytest.raises(NotApplicable, match=r"'valid' names no groups; give Split\(groups=...\)"):
        ask(Split(rows(["a"]), groups=lambda: ["a"]), rows(["b"]))


def test_a_field_that_no_sample_has_is_named() -> None:
    with pytest.raises(NotApplicable, match="'speaker'"):
        ask(rows(["a"]), rows(["b"]), group_key="speaker")
