"""What an index may change between two readings, and what it may not."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from gonogo.checks.data.index_determinism import index_determinism
from gonogo.core.criterion import Status
from gonogo.core.measurement import Observation
from gonogo.errors import NotApplicable
from gonogo.training.claims import Claims
from gonogo.training.session import Session
from gonogo.training.subject import Subject

GENERATOR = torch.Generator().manual_seed(0)
PICTURES = torch.rand(80, 12, 12, generator=GENERATOR).cumsum(1).cumsum(2)  # smooth, like pictures
TOKENS = torch.randint(5, 1000, (80, 16), generator=GENERATOR)


class Read(Dataset[Any]):
    def __init__(self, sample: Callable[[int], Any]) -> None:
        self.sample = sample

    def __getitem__(self, index: int) -> Any:
        return self.sample(index)

    def __len__(self) -> int:
        return 80


def ask(train: Callable[[int], Any], valid: Callable[[int], Any] | None = None, **claims: Any) -> Observation:
    splits: dict[str, Any] = {"train": lambda: DataLoader(Read(train), 8)}
    if valid:
        splits["valid"] = lambda: DataLoader(Read(valid), 8)
    return index_determinism(Session(Subject("s", splits=splits, claims=Claims(**claims))))


def status(observation: Observation) -> Status:
    criteria = index_determinism.check.criteria  # type: ignore[attr-defined]
    given = [one for one in criteria if one.measure in observation.measurements]
    return max(one.judge(observation.measurements[one.measure]).status for one in given)


def flip(index: int) -> Any:
    picture = PICTURES[index]
    return (picture.flip(1) if torch.rand(()) < 0.5 else picture), index % 3


def crop_with_boxes(index: int) -> Any:
    top, left = torch.randint(4, (2,)).tolist()
    return PICTURES[index][top : top + 8, left : left + 8], torch.tensor([top, left])


def noise(index: int) -> Any:
    return PICTURES[index] + 0.5 * torch.randn(12, 12), PICTURES[index]


def masked_tokens(index: int) -> Any:
    chosen = torch.rand(16) < 0.15
    action = torch.rand(16)
    given = TOKENS[index].clone()
    given[chosen & (action < 0.8)] = 3
    return {"input_ids": given, "labels": TOKENS[index].masked_fill(~chosen, -100)}


def mixed(index: int) -> Any:
    other, share = int(torch.randint(80, ())), float(torch.rand(()) * 0.5)
    return (1 - share) * PICTURES[index] + share * PICTURES[other], torch.tensor([1 - share, share])


def two_views(index: int) -> Any:
    return PICTURES[index], PICTURES[int(torch.randint(80, ()))]


@pytest.mark.parametrize("sample", [flip, crop_with_boxes, noise, masked_tokens, mixed, two_views])
def test_augmentation_of_training_passes(sample: Callable[[int], Any]) -> None:
    assert status(ask(sample)) is Status.PASS


def test_each_changed_target_is_counted_under_an_unchanged_input() -> None:
    def sample(index: int) -> Any:
        return PICTURES[index], int(torch.randint(10**6, ())) if index < 8 else 0

    found = ask(sample, sample)
    changed = {position for name, position, *_ in found.tables[0].rows if name == "train"}
    assert changed <= set(range(8))
    assert found.measurements["changed_targets"].value == len(found.tables[0].rows) > 0


def test_a_declared_target_counts_whatever_its_size() -> None:
    assert status(ask(two_views, target=1)) is Status.FAIL


def test_the_share_of_changing_held_out_samples_is_exact() -> None:
    def sample(index: int) -> Any:
        return PICTURES[index] + (torch.rand(12, 12) if index % 2 else 0), 0

    found = ask(flip, sample)
    assert found.measurements["changed_held_out"].value == pytest.approx(0.5, abs=0.15)
    assert status(found) is Status.WARN


def test_a_state_that_moves_with_each_reading_is_seen() -> None:
    calls = iter(range(10**6))
    found = ask(lambda index: (PICTURES[index], next(calls)))
    assert found.measurements["changed_targets"].value == 64


def test_a_slow_data_set_is_read_less() -> None:
    subject = Subject("s", splits={"train": lambda: DataLoader(Read(flip), 8)})
    assert index_determinism(Session(subject, seconds=0.0)).measurements["changed_targets"].n == 1


def test_a_stream_has_no_indices() -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            yield from PICTURES

    with pytest.raises(NotApplicable, match="by index"):
        index_determinism(Session(Subject("s", splits={"train": lambda: DataLoader(Stream(), 8)})))


def drawn(index: int) -> Any:
    label = int(torch.randint(3, ()))
    return {"x": torch.randn(9) + label, "label": label}


def test_a_held_out_set_that_is_drawn_anew_at_each_reading_fails() -> None:
    assert status(ask(flip, drawn)) is Status.FAIL
    assert status(ask(flip, drawn, stochastic=True)) is Status.WARN


def other_half(index: int) -> Any:
    other = int(torch.randint(80, ()))
    return {"one": PICTURES[index], "other": PICTURES[other], "label": int(index % 3 == other % 3)}


@pytest.mark.parametrize("sample", [noise, masked_tokens, mixed, two_views, other_half, flip])
def test_held_out_samples_that_keep_something_are_a_warning(sample: Callable[[int], Any]) -> None:
    assert status(ask(flip, sample)) is Status.WARN
