"""Which batches belong to which pass, and which samples a loader reads."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, SubsetRandomSampler, TensorDataset

from gonogo.watch import evidence
from gonogo.watch.inside import record


@pytest.fixture
def parts():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    data = TensorDataset(torch.randn(12, 3), torch.arange(12) % 2)
    return model, torch.optim.SGD(model.parameters(), lr=0.1), data, TensorDataset(torch.randn(4, 3))


def step(parts, x, y):
    model, optimizer, *_ = parts
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()


def test_the_batch_of_next_iter_belongs_to_its_pass(parts):
    loader = DataLoader(parts[2], 4)

    def loop():
        for _ in range(5):
            x, y = next(iter(loader))
            step(parts, x, y)

    passes = evidence.passes(record(loop))
    assert len(passes) == 5
    assert all(one.trains and one.batches == 1 and not one.complete for one in passes)


def test_a_batch_that_is_left_over_by_a_break_belongs_to_nothing(parts):
    def loop():
        for count, (x, y) in enumerate(DataLoader(parts[2], 4)):
            if count == 2:
                break
            step(parts, x, y)
        parts[0](parts[3].tensors[0])

    assert record(loop).of("call")[-1]["pass"] is None


def test_an_evaluation_in_the_middle_of_an_epoch_is_one(parts):
    def loop():
        for x, y in DataLoader(parts[2], 4):
            for (held_out,) in DataLoader(parts[3], 2):
                parts[0](held_out)
            step(parts, x, y)

    recording = record(loop)
    assert [one.batches for one in evidence.evaluations(recording)] == [2, 2, 2]
    (training,) = [one for one in evidence.passes(recording) if one.trains]
    assert len(training.backwards) == 3


def test_two_loaders_that_are_read_in_turns_are_no_evaluation(parts):
    def loop():
        for (x, y), _ in zip(DataLoader(parts[2], 4), DataLoader(parts[3], 1), strict=False):
            step(parts, x, y)

    assert evidence.evaluations(record(loop)) == []


def data_of(*loaders):
    """The numbers of what loaders read, and the overlaps that are told."""
    recording = record(lambda: [list(loader) for loader in loaders])
    overlaps = [(event["data"], event["shared"], event["sizes"]) for event in recording.of("overlap")]
    return [event["dataset"] for event in recording.of("loader")], overlaps


def test_parts_of_a_data_set_are_known_by_their_samples(parts):
    data = parts[2]
    first = DataLoader(data, 4, sampler=SubsetRandomSampler(range(8)))
    assert data_of(first, DataLoader(Subset(data, range(8)), 2)) == ([0, 0], [])
    assert data_of(first, DataLoader(Subset(data, range(8, 12)), 2)) == ([0, 1], [([1, 0], 0, [4, 8])])
    assert data_of(first, DataLoader(Subset(Subset(data, range(6, 12)), range(4)), 2))[1] == [([1, 0], 2, [4, 8])]
    assert data_of(DataLoader(data, 4), DataLoader(Subset(data, range(3)), 2))[1] == [([1, 0], 3, [3, 12])]
    assert data_of(first, DataLoader(parts[3], 2)) == ([0, 1], [])


def test_samples_with_names_are_no_parts():
    named = {"a": torch.zeros(1), "b": torch.ones(1)}
    numbers, overlaps = data_of(DataLoader(Subset(named, ["a", "b"]), 1), DataLoader(Subset(named, ["a"]), 1))
    assert (len(set(numbers)), overlaps) == (2, [])


def test_a_pass_that_persistent_workers_begin_anew_ends_the_one_before(parts):
    loader = DataLoader(parts[2], 4, num_workers=1, persistent_workers=True)

    def loop():
        for _ in range(2):
            for _ in loader:
                break

    assert [event["batches"] for event in record(loop).of("pass")] == [1, 1]
