"""Samples with workers and without: random and cached samples first."""

from dataclasses import replace

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from gonogo.checks.data.worker_count import worker_count
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS


def status(data, **named):
    toy = TOYS["regressor"]()
    build = lambda: DataLoader(data(), 4, num_workers=2, **named)  # noqa: E731
    return answer(worker_count.check, toy.map_split("train", lambda split: replace(split, batches=build))).status


class Plain(Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, index):
        return torch.full((8,), float(index)), torch.tensor(float(index))


class Augmented(Plain):
    def __getitem__(self, index):
        return super().__getitem__(index)[0] + torch.randn(8), torch.tensor(float(index))


class Cached(Augmented):
    """The first augmentation is kept."""

    def __init__(self):
        self.kept = {}

    def __getitem__(self, index):
        return self.kept.setdefault(index, super().__getitem__(index))


class ByWorker(Plain):
    """A position that each worker counts for itself."""

    def __getitem__(self, index):
        worker = get_worker_info()
        return super().__getitem__(index + (1 if worker else 0))


class Stream(IterableDataset):
    def __init__(self, shuffled=False):
        self.shuffled = shuffled

    def __iter__(self):
        worker, order = get_worker_info(), torch.randperm(31).tolist() if self.shuffled else range(31)
        for place, item in enumerate(order):
            if worker is None or place % worker.num_workers == worker.id:
                yield torch.full((8,), float(item)), torch.tensor(float(item))


def test_plain_samples_are_the_same():
    assert status(Plain, shuffle=True) is Status.PASS


def test_augmented_and_cached_samples_are_not_judged():
    assert status(Augmented) is Status.SKIP
    assert status(Cached) is Status.SKIP


def test_a_stream_that_is_cut_by_worker_is_fine():
    assert status(Stream) is Status.PASS


def test_samples_that_depend_on_the_worker_are_told():
    assert status(ByWorker) is Status.WARN
