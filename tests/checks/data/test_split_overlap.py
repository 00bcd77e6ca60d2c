"""Exact shares on data made by hand, and layouts that must not be accused."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    random_split,
)

from gonogo.checks.data.split_overlap import split_overlap
from gonogo.core.criterion import Status
from gonogo.core.measurement import Observation
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject

GENERATOR = torch.Generator().manual_seed(0)
X, Y = torch.rand(100, 6, generator=GENERATOR), torch.arange(100) % 3
BASE = TensorDataset(X, Y)


def ask(train: Any, valid: Any, seconds: float = 60.0, **more: Any) -> Observation:
    splits = {"train": lambda: train, "valid": lambda: valid}
    return split_overlap(Session(Subject("s", splits=splits, **more), seconds=seconds))


def shared(train: Any, valid: Any) -> float | None:
    return ask(DataLoader(train, 10), DataLoader(valid, 10)).measurements["shared"].value


def status(observation: Observation) -> Status:
    criteria = split_overlap.check.criteria  # type: ignore[attr-defined]
    return max(criterion.judge(observation.measurements[criterion.measure]).status for criterion in criteria)


def test_each_shared_sample_is_counted_once() -> None:
    assert shared(Subset(BASE, [*range(50), 3, 3]), Subset(BASE, range(48, 98))) == 2 / 50


def test_two_random_splits_with_different_seeds_overlap() -> None:
    parts = [random_split(BASE, [80, 20], generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    expected = len(set(parts[0][0].indices) & set(parts[1][1].indices)) / 20
    assert shared(parts[0][0], parts[1][1]) == expected > 0.5


def test_equal_content_in_two_data_sets_is_found_whatever_its_target() -> None:
    found = ask(DataLoader(BASE, 10), DataLoader(TensorDataset(X[:5].clone(), Y[:5] + 1), 5))
    assert found.measurements["shared"].value == 1
    assert {row[3] for row in found.tables[0].rows} == {"no"}


def test_a_part_of_a_concatenation_is_found() -> None:
    other = TensorDataset(torch.rand(10, 6), Y[:10])
    assert shared(ConcatDataset([other, Subset(BASE, range(5))]), Subset(BASE, range(4, 14))) == 0.1


def test_two_samplers_that_share_one_data_set_but_no_index_do_not_overlap() -> None:
    train = DataLoader(BASE, 10, sampler=SubsetRandomSampler(range(80)))
    valid = DataLoader(BASE, 10, sampler=SubsetRandomSampler(range(80, 100)))
    assert status(ask(train, valid)) is Status.PASS


def test_plain_lists_of_batches_are_compared_row_by_row() -> None:
    found = ask([(X[:50], Y[:50])], [(X[45:60], Y[45:60]), (X[60:65], Y[60:65])])
    assert found.measurements["shared"].value == 5 / 20


def test_identifiers_do_not_hide_a_copy() -> None:
    def rows(indices: range, start: int) -> list[dict[str, Any]]:
        return [{"x": X[i], "label": Y[i], "id": start + i} for i in indices]

    assert shared(rows(range(50), 0), rows(range(40, 60), 1000)) == 0.5


def test_a_truth_table_never_fails() -> None:
    table = TensorDataset(torch.tensor([[a, b] for a in (0.0, 1.0) for b in (0.0, 1.0)] * 8), torch.arange(32) % 2)
    found = ask(DataLoader(Subset(table, range(16)), 4), DataLoader(Subset(table, range(16, 32)), 4))
    assert found.measurements["shared_simple"].value == 1
    assert status(found) is Status.WARN


def test_blank_samples_do_not_fail_a_split_of_real_ones() -> None:
    blanks = TensorDataset(torch.zeros(3, 6), Y[:3])
    found = ask(
        DataLoader(ConcatDataset([Subset(BASE, range(50)), blanks]), 8),
        DataLoader(ConcatDataset([Subset(BASE, range(50, 100)), blanks]), 8),
    )
    assert (found.measurements["shared"].value, status(found)) == (0, Status.WARN)


class Augmented(Dataset[Any]):
    """Noise on every reading, inside the data set where nothing can switch it off."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows

    def __getitem__(self, index: int) -> Any:
        return self.rows[index] + torch.rand(self.rows[index].shape), index % 2

    def __len__(self) -> int:
        return len(self.rows)


def test_augmentation_without_a_raw_view_is_unknown_not_clear() -> None:
    train, valid = Augmented(X[:80]), TensorDataset(X[:20], Y[:20])
    with pytest.raises(NotApplicable, match="anew at each reading"):
        ask(DataLoader(train, 10), DataLoader(valid, 10))


def test_the_same_index_of_an_augmented_data_set_is_exact_evidence() -> None:
    base = Augmented(X)
    found = ask(DataLoader(Subset(base, range(80)), 10), DataLoader(Subset(base, range(70, 90)), 10))
    assert found.measurements["shared"].value == 0.5
    assert status(found) is Status.FAIL


class Stream(IterableDataset[Any]):
    def __init__(self, rows: torch.Tensor, draw: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.rows, self.draw = rows, draw

    def __iter__(self) -> Any:
        yield from ((self.draw(row), 0) for row in self.rows)


@pytest.mark.parametrize(
    ("draw", "expected"),
    [(lambda row: row, Status.PASS), (lambda row: row + torch.rand(6), None)],
)
def test_streams_are_compared_and_augmented_ones_are_unknown(draw: Any, expected: Status) -> None:
    train, valid = DataLoader(Stream(X[:80], draw), 10), DataLoader(Stream(X[80:], lambda row: row), 10)
    if expected is None:
        with pytest.raises(NotApplicable, match="anew at each reading"):
            ask(train, valid)
    else:
        assert status(ask(train, valid)) is expected


def test_an_unfinished_reading_is_inconclusive() -> None:
    found = ask(DataLoader(Subset(BASE, range(80)), 10), DataLoader(Subset(BASE, range(80, 100)), 10), seconds=0.0)
    assert status(found) is Status.WARN


def test_the_worst_of_valid_and_test_decides() -> None:
    names = {"train": range(50), "valid": range(50, 60), "test": range(45, 55)}
    splits = {name: (lambda part=part: DataLoader(Subset(BASE, part), 5)) for name, part in names.items()}
    found = split_overlap(Session(Subject("s", splits=splits)))
    assert found.measurements["shared"].value == 0.5


def test_unreadable_samples_are_unknown() -> None:
    strange = [{"x": object(), "y": 1} for _ in range(4)]
    with pytest.raises(NotApplicable, match="taken out of its batches"):
        ask(DataLoader(BASE, 10), DataLoader(strange, 2))  # type: ignore[arg-type]


def test_samples_without_any_input_are_unknown_rather_than_all_alike() -> None:
    only_targets = [{"label": n} for n in range(20)]
    with pytest.raises(NotApplicable, match="taken out of its batches"):
        ask(DataLoader(only_targets, 4), DataLoader(only_targets, 4))  # type: ignore[arg-type]


@pytest.mark.parametrize(("start", "expected"), [(50, Status.PASS), (20, Status.FAIL)])
def test_the_running_index_of_a_sample_is_not_its_input(start: int, expected: Status) -> None:
    def rows(indices: range) -> list[Any]:
        return [(place, X[index]) for place, index in enumerate(indices)]

    train, valid = rows(range(50)), rows(range(start, start + 40))
    assert status(ask(DataLoader(train, 10), DataLoader(valid, 10))) is expected  # type: ignore[arg-type]
