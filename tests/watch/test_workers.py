"""Two workers that share a generator are told from two that do not."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from gonogo.watch.inside import record
from gonogo.watch.taps.workers import compare


class Noisy(Dataset):
    """Samples with noise, from a generator of its own or from torch's."""

    def __init__(self, own: bool) -> None:
        self.own = np.random.default_rng(0) if own else None

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int):
        noise = self.own.normal() if self.own is not None else float(torch.randn(()))
        return {"x": torch.tensor([index + noise]), "y": index}


class Augmented(Noisy):
    """Noise of a generator of its own on top of crops by torch's."""

    def __getitem__(self, index: int):
        return super().__getitem__(index)["x"] * torch.rand(())


def own_seeds(worker: int) -> None:
    torch.utils.data.get_worker_info().dataset.own = np.random.default_rng(worker)


@pytest.mark.parametrize(
    ("data", "init", "counts"),
    [
        (Noisy(own=True), None, (12, 12, 12, 12)),
        (Noisy(own=False), None, (12, 0, 0, 0)),
        (Noisy(own=False), lambda _: torch.manual_seed(0), (12, 12, 0, 0)),
        (Augmented(own=True), None, (12, 0, 12, 12)),
        (Augmented(own=True), own_seeds, (12, 0, 12, 0)),
    ],
    ids=["its own", "torch's", "all workers one seed", "its own beside torch's", "its own, seeded by worker"],
)
def test_a_generator_that_workers_share_is_found(data, init, counts):
    found = compare(data, init)
    assert (found["random"], found["same"], found["own_random"], found["own_same"]) == counts


class Told(Noisy):
    def set_epoch(self, epoch: int) -> None:
        self.own = np.random.default_rng(epoch)


@pytest.mark.parametrize(
    ("data", "persistent", "told"),
    [(Noisy(own=True), False, [12]), (Noisy(own=True), True, []), (Told(own=True), False, [])],
    ids=["each epoch a copy", "one copy for good", "seeded by epoch"],
)
def test_one_worker_repeats_its_draws_in_each_epoch(data, persistent, told):
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for batch in DataLoader(data, 4, num_workers=1, persistent_workers=persistent):
            model(batch["x"].float()).sum().backward()
            optimizer.step()

    assert [event["same"] for event in record(loop).of("workers")] == told
