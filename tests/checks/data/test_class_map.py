"""Tables from names to numbers must agree where they share names; lists of samples are no such tables."""

from typing import Any

import torch
from torch.utils.data import DataLoader, Subset, TensorDataset

from gonogo.checks.data.class_map import class_map
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

CHECK: Any = class_map.check  # type: ignore[attr-defined]


def ask(train: Any, valid: Any, name: str = "class_to_idx", targets: tuple[int, int] = (4, 4)) -> Status:
    def build(table: Any, classes: int) -> Any:
        data: Any = TensorDataset(torch.randn(64, 3), torch.arange(64) % classes)
        setattr(data, name, table)
        return lambda: DataLoader(Subset(data, range(60)), 8)

    splits = {"train": build(train, targets[0]), "valid": build(valid, targets[1])}
    return answer(CHECK, Subject("s", splits=splits)).status


def test_shared_names_with_other_numbers_fail():
    assert ask({"a": 0, "b": 1}, {"b": 0}) is Status.FAIL
    assert ask(["a", "b", "c"], ["a", "c"], "classes") is Status.FAIL


def test_equal_tables_parts_of_them_and_other_classes_pass():
    assert ask({"a": 0, "b": 1}, {"a": 0, "b": 1}) is Status.PASS
    assert ask({"a": 0, "b": 1}, {"b": 1}) is Status.PASS
    assert ask({"a": 0, "b": 1}, {"c": 0}) is Status.PASS


def test_a_list_of_samples_is_no_table():
    assert ask(["a", "b", "a"], ["b", "b"], "classes") is Status.PASS


def test_classes_that_train_lacks_are_a_warning():
    assert ask({}, {}, targets=(3, 4)) is Status.WARN
    assert ask({}, {}, targets=(4, 3)) is Status.PASS
