"""Epochs and workers: faults are caught; streams, weights, oversampling and augmentation are not accused."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    get_worker_info,
)

from gonogo.checks.data.epoch_coverage import epoch_coverage
from gonogo.checks.data.epoch_randomness import epoch_randomness
from gonogo.checks.data.worker_seeds import worker_seeds
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.session import Session
from gonogo.training.subject import Subject

CHECKS: list[Any] = [function.check for function in (epoch_coverage, worker_seeds, epoch_randomness)]  # type: ignore[attr-defined]


class Rows(Dataset[Any]):
    def __init__(self, noise: Any = None) -> None:
        self.x, self.noise, self.own = torch.randn(64, 5), noise, np.random.RandomState(0)

    def __getitem__(self, index: int) -> Any:
        x = self.x[index]
        return (x if self.noise is None else x + self.noise(self)), index % 3

    def __len__(self) -> int:
        return len(self.x)


class Stream(IterableDataset[Any]):
    def __init__(self, shard: bool = False, endless: bool = False, draw: bool = False) -> None:
        self.shard, self.endless, self.draw = shard, endless, draw

    def __iter__(self) -> Any:
        info = get_worker_info()
        start, step = (info.id, info.num_workers) if info and self.shard else (0, 1)
        numbers = itertools.cycle(range(48)) if self.endless else range(start, 48, step)
        return (torch.randn(3) if self.draw else torch.tensor([n, 2 * n]) for n in numbers)


def from_torch(data: Rows) -> Any:
    return torch.randn(5)


def flips(data: Rows) -> Any:
    return torch.rand(()) < 0.5


def from_own(data: Rows) -> Any:
    return torch.from_numpy(data.own.randn(5)).float()


def constant(worker: int) -> None:
    torch.manual_seed(worker)


def one_for_all(worker: int) -> None:
    torch.manual_seed(3)


class Epochs:
    def __init__(self, loader: Any, tell: bool = True, seed: int | None = None) -> None:
        self.loader, self.tell, self.seed, self.epoch = loader, tell, seed, 0

    def __iter__(self) -> Any:
        if self.tell:
            self.loader.sampler.set_epoch(self.epoch)
        if self.seed is not None:
            torch.manual_seed(self.seed)
        self.epoch += 1
        return iter(self.loader)


class Half(Sampler[int]):
    def __iter__(self) -> Any:
        return iter(range(32))

    def __len__(self) -> int:
        return 64


class ShortOf:
    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __iter__(self) -> Any:
        return itertools.islice(iter(self.loader), 2)

    def __len__(self) -> int:
        return len(self.loader)


class Cut:
    """A wrapper that makes its own epochs of a loader: `how` says in which way."""

    def __init__(self, loader: Any, how: str, steps_per_epoch: int = 2) -> None:
        self.loader, self.how = loader, how
        if how == "declared":
            self.steps_per_epoch = steps_per_epoch
        self.rest: Any = iter(()) if how == "goes on" else None

    def __iter__(self) -> Any:
        if self.how == "grouped":
            return (torch.stack(group) for group in zip(*[iter(part[0] for part in self.loader)] * 4, strict=False))
        if self.how == "goes on":
            return self.going_on()
        return itertools.islice(iter(self.loader), 2)

    def going_on(self) -> Any:
        for _ in range(2):
            batch = next(self.rest, None)
            if batch is None:
                self.rest = iter(self.loader)
                batch = next(self.rest)
            yield batch


class OneIterator(IterableDataset[Any]):
    def __init__(self) -> None:
        self.items = iter(range(40))

    def __iter__(self) -> Any:
        return self.items


def ranked(**settings: Any) -> DataLoader[Any]:
    rows = Rows()
    return DataLoader(rows, 8, sampler=DistributedSampler(rows, num_replicas=2, rank=0, **settings))


def found(build: Any) -> dict[str, Status]:
    subject = Subject("s", splits={"train": build})
    return {check.id: answer(check, subject).status for check in CHECKS}


RIGHT = {
    "plain": lambda: DataLoader(Rows(), 8, shuffle=True),
    "drop_last": lambda: DataLoader(Rows(), 10, shuffle=True, drop_last=True),
    "sorted": lambda: DataLoader(Rows(), 8),
    "subset": lambda: DataLoader(Rows(), 8, sampler=SubsetRandomSampler(range(20))),
    "weighted": lambda: DataLoader(Rows(), 8, sampler=WeightedRandomSampler(torch.rand(64).tolist(), 64)),
    "with replacement": lambda: DataLoader(Rows(), 8, sampler=RandomSampler(Rows(), True, 200)),
    "oversampled": lambda: DataLoader(Rows(), 8, sampler=[*range(64), *range(5)]),
    "two workers": lambda: DataLoader(Rows(from_torch), 8, shuffle=True, num_workers=2),
    "flips in two workers": lambda: DataLoader(Rows(flips), 8, shuffle=True, num_workers=2),
    "own generator, kept worker": lambda: DataLoader(
        Rows(from_own), 8, shuffle=True, num_workers=1, persistent_workers=True
    ),
    "own generator, no worker": lambda: DataLoader(Rows(from_own), 8, shuffle=True),
    "stream": lambda: DataLoader(Stream(), 8),
    "stream in shards": lambda: DataLoader(Stream(shard=True), 8, num_workers=2),
    "stream drawn anew": lambda: DataLoader(Stream(draw=True), 8, num_workers=2),
    "list of batches": lambda: [torch.randn(4, 2) for _ in range(5)],
    "epoch told": lambda: Epochs(ranked()),
    "batches in groups": lambda: Cut(DataLoader(Rows(), 8, shuffle=True), "grouped"),
    "goes on in the next epoch": lambda: Cut(DataLoader(Rows(), 8, shuffle=True), "goes on"),
    "generator": lambda: (torch.ones(3) for _ in range(5)),
    "ranks in order": lambda: ranked(shuffle=False),
    "own generator of the loader": lambda: DataLoader(
        Rows(), 8, shuffle=True, generator=torch.Generator().manual_seed(0)
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_loaders_are_not_accused(name):
    assert set(found(RIGHT[name]).values()) <= {Status.PASS, Status.SKIP}


def test_an_endless_stream_is_not_accused():
    subject = Subject("s", splits={"train": lambda: DataLoader(Stream(endless=True), 8, num_workers=2)})
    seen = epoch_coverage(Session(subject, seconds=5), limit=100).measurements
    assert seen["lost_in_second_epoch"].value == 0.0
    assert "copies" not in seen


WRONG = [
    ("data.epoch-coverage", lambda: DataLoader(Stream(), 8, num_workers=2)),
    ("data.epoch-coverage", lambda: DataLoader(OneIterator(), 8)),
    ("data.epoch-coverage", lambda: ShortOf(DataLoader(Rows(), 8))),
    ("data.epoch-coverage", lambda: DataLoader(Rows(), 8, sampler=Half())),
    ("data.epoch-coverage", lambda: Cut(DataLoader(Rows(), 8, shuffle=True), "cut")),
    ("data.worker-seeds", lambda: DataLoader(Rows(from_own), 8, shuffle=True, num_workers=2)),
    (
        "data.worker-seeds",
        lambda: DataLoader(Rows(from_torch), 8, shuffle=True, num_workers=2, worker_init_fn=one_for_all),
    ),
    (
        "data.epoch-randomness",
        lambda: DataLoader(Rows(from_torch), 8, shuffle=True, num_workers=2, worker_init_fn=constant),
    ),
    ("data.epoch-randomness", lambda: DataLoader(Rows(from_own), 8, shuffle=True, num_workers=1)),
    ("data.epoch-randomness", lambda: Epochs(ranked(), tell=False)),
    ("data.epoch-randomness", lambda: Epochs(DataLoader(Rows(), 8, shuffle=True), tell=False, seed=0)),
    ("data.epoch-randomness", lambda: Epochs(DataLoader(Rows(from_torch), 8), tell=False, seed=0)),
]


@pytest.mark.parametrize(("name", "build"), WRONG)
def test_wrong_loaders_fail_the_right_check(name, build):
    assert found(build)[name] is Status.FAIL


def test_a_generator_may_be_meant_for_one_epoch_but_the_iterator_of_a_loader_is_not():
    def ask(make: Any) -> Status:
        seen = epoch_coverage(Session(Subject("s", splits={"train": make}))).measurements["lost_in_second_epoch"]
        [criterion] = [one for one in CHECKS[0].criteria if one.measure == "lost_in_second_epoch"]
        return criterion.judge(seen).status

    assert ask(lambda: (torch.ones(3) for _ in range(5))) is Status.PASS
    assert ask(lambda: iter(DataLoader(Rows(), 8))) is Status.FAIL


def test_a_sampler_that_only_the_loop_can_tell_the_epoch_is_a_warning():
    assert found(ranked)["data.epoch-randomness"] is Status.WARN


def test_an_epoch_that_is_cut_by_a_named_limit_is_a_warning():
    assert found(lambda: Cut(DataLoader(Rows(), 8), "declared"))["data.epoch-coverage"] is Status.WARN
