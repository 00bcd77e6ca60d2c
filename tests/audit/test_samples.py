"""Samples of a split, however its loader is built."""

from itertools import pairwise
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
    WeightedRandomSampler,
)

from gonogo.audit import samples
from gonogo.training.session import Session
from gonogo.training.subject import Subject


def of(loader: Any, *, raw: bool = False) -> samples.Samples:
    return samples.of_split(Session(Subject("s", splits={"train": lambda: loader})), "train", raw=raw)


class Augmented(Dataset[Any]):
    def __init__(self, rows: torch.Tensor, transform: Any) -> None:
        self.rows, self.transform = rows, transform

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(self.rows[index]) if self.transform else self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)


def noisy(row: torch.Tensor) -> torch.Tensor:
    return row + torch.rand(row.shape)


def test_the_raw_view_switches_transforms_off_at_any_depth_and_leaves_the_data_set_alone() -> None:
    rows = torch.arange(8.0).reshape(4, 2)
    inner = Augmented(rows, noisy)
    outer = ConcatDataset([Subset(inner, [2, 3]), Augmented(rows, noisy)])
    found = of(DataLoader(outer), raw=True)
    assert found.read is not None
    assert torch.equal(found.read(1), rows[3])
    assert torch.equal(found.read(2), rows[0])
    assert inner.transform is noisy


def test_a_transform_that_is_needed_stays_on() -> None:
    class Needs(Augmented):
        def __getitem__(self, index: int) -> torch.Tensor:
            return self.transform(self.rows[index])

    found = of(DataLoader(Needs(torch.ones(2, 1), torch.negative)), raw=True)
    assert found.read is not None
    assert float(found.read(0)) == -1


def test_chains_of_subsets_are_resolved_to_the_data_set_at_their_end() -> None:
    base = TensorDataset(torch.arange(10))
    chain = ConcatDataset([Subset(base, [0]), Subset(Subset(base, [5, 6, 7]), [2, 0])])
    assert [samples.resolve(chain, index) for index in range(3)] == [(id(base), 0), (id(base), 7), (id(base), 5)]


def test_a_sampler_decides_which_indices_belong_to_a_split() -> None:
    base = TensorDataset(torch.arange(6))
    assert samples.indices_of(DataLoader(base, 2, sampler=SubsetRandomSampler([4, 1]))) == [1, 4]
    weights = WeightedRandomSampler([0.0, 1.0, 1.0, 0.0, 0.0, 1.0], 3)
    assert samples.indices_of(DataLoader(base, 2, sampler=weights)) == [1, 2, 5]
    assert samples.indices_of(DataLoader(base, batch_sampler=[[0, 3], [5]])) == [0, 3, 5]
    assert samples.indices_of(DataLoader(base, 2, shuffle=True)) == range(6)


def test_an_endless_sampler_is_not_waited_for() -> None:
    def endless() -> Any:
        while True:
            yield from range(5)

    class Sampler:
        def __iter__(self) -> Any:
            return endless()

    assert samples.indices_of(DataLoader(TensorDataset(torch.arange(6)), 2, sampler=Sampler())) == [0, 1, 2, 3, 4]  # type: ignore[arg-type]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        yield from ({"x": torch.tensor([n, n + 1]), "y": torch.tensor(n)} for n in range(5))


def test_a_stream_is_read_as_rows_of_its_batches() -> None:
    found = of(DataLoader(Stream(), 2))
    assert found.read is None
    assert [row["y"].item() for row in found.rows()] == [0, 1, 2, 3, 4]


def test_padding_that_depends_on_the_batch_is_cut_from_rows() -> None:
    short = {"x": torch.tensor([[1, 2, 0]]), "y": torch.tensor([1])}
    long = {"x": torch.tensor([[1, 2, 0, 0, 0]]), "y": torch.tensor([1])}
    first, second = of([short, long]).rows()
    assert torch.equal(first["x"], second["x"])


def test_rows_of_batches_of_graphs_are_unreadable_rather_than_guessed() -> None:
    batch = {"nodes": torch.ones(5, 3), "label": torch.ones(2)}
    assert list(of([batch]).rows()) == [samples.UNREADABLE] * 2


def test_texts_are_rows_too() -> None:
    rows = list(of([{"text": ["a", "b"], "y": torch.tensor([0, 1])}]).rows())
    assert [row["text"] for row in rows] == ["a", "b"]


def test_a_reading_that_runs_out_of_time_knows_its_share() -> None:
    reading = samples.Reading(of(DataLoader(TensorDataset(torch.arange(10)))), seconds=-1.0, seed=0)
    assert len(list(reading)) == 1
    assert (reading.complete, reading.share) == (False, 0.1)


def test_a_broken_sample_is_counted_and_the_reading_goes_on() -> None:
    class Broken(Augmented):
        def __getitem__(self, index: int) -> torch.Tensor:
            if index == 2:
                raise OSError("truncated file")
            return self.rows[index]

    reading = samples.Reading(of(DataLoader(Broken(torch.ones(4, 1), None))), seconds=5.0, seed=0)
    assert (len(list(reading)), reading.failed, reading.complete) == (3, 1, True)


@pytest.mark.parametrize("count", [1, 2, 3, 6, 10, 97, 1000])
def test_spread_visits_each_position_once_and_no_stretch_is_left_out(count: int) -> None:
    order = list(samples.spread(count, 3))
    assert sorted(order) == list(range(count))
    assert count < 100 or max(b - a for a, b in pairwise(sorted(order[:50]))) < count / 10


def test_a_library_data_set_switches_its_format_off() -> None:
    class Library:
        def __init__(self, form: Any) -> None:
            self.form = form

        def with_format(self, form: Any) -> "Library":
            return Library(form)

        def __getitem__(self, index: int) -> Any:
            return self.form, index

        def __len__(self) -> int:
            return 3

    found = of(DataLoader(Library("random")), raw=True)  # type: ignore[arg-type]
    assert found.read is not None
    assert found.read(1) == (None, 1)
