"""Two workers that draw the same random numbers halve the augmentation."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.data import ledger
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.TRAIN},
    effort=Effort.READ,
    explains=("data.epoch-randomness",),
    criteria=[
        at_most(
            "identical_draws", warn=0.5, fail=0.99, source="exact: two generators do not draw alike; flips do, half"
        )
    ],
    since="0.2",
)
def worker_seeds(session: Session, *, limit: int = 24) -> Observation:
    """Workers draw different random numbers | Workers draw the same random numbers

    What: reads `limit` indices of the training data in two worker processes, set up as the loader sets them up, each
        index twice in each worker. Only indices whose sample changes from the first reading to the second within one
        worker are random; `identical_draws` is the share of these for which both workers gave the same two samples.
    Why: a generator that the data set owns, or a worker_init_fn with a constant, is copied into each worker. All of
        them then apply the same crops and the same noise, to other samples: less variety than was meant.
    Fix: draw from torch's generator, which each worker has anew; or seed your own in worker_init_fn from
        torch.initial_seed().
    Shapes: one sample per index.
    Units: identical_draws: 1 (n: indices that are random).
    Source: github.com/xingyizhou/CenterNet issue 233; github.com/ultralytics/yolov5 issue 2761.
    """
    loader = ledger.map_style(session, "train")
    if loader.num_workers < 2:
        raise NotApplicable("the training loader has fewer than two workers")
    indices = ledger.some_indices(loader, limit)
    # Single samples go to the workers in turn: the first to one, the second to the other.
    order = [index for index in indices for _ in range(2)] * 2
    prints = [ledger.print_of(item) for item in ledger.by_workers(loader, order, 2)]
    half = len(order) // 2
    first = [(prints[at], prints[half + at]) for at in range(0, half, 2)]
    second = [(prints[at], prints[half + at]) for at in range(1, half, 2)]
    random = [(one, two) for one, two in zip(first, second, strict=True) if one[0] != one[1]]
    if len(random) < 6:  # six coins fall alike once in ten thousand times
        raise NotApplicable("reading a sample twice in one worker gives the same sample")
    same = sum(one == two for one, two in random)
    rows = (("random indices", len(random)), ("of these the same in both workers", same), ("indices", len(indices)))
    return Observation(
        {"identical_draws": Measurement(same / len(random), n=len(random))},
        (Table("Draws of two workers", ("what", "count"), rows),),
    )


class _Noisy:
    """A data set that adds noise of a generator of its own."""

    def __init__(self, data: Any) -> None:
        self.data, self.own = data, np.random.RandomState(0)

    def __getitem__(self, index: int) -> Any:
        sample = self.data[index]
        return {**sample, "features": sample["features"] + torch.from_numpy(self.own.randn(12)).float()}

    def __len__(self) -> int:
        return len(self.data)


@fault()
def data_set_owns_a_generator(subject: Subject) -> Subject:
    """Noise comes from a generator that the data set carries into each of two workers."""

    def build() -> DataLoader[Any]:
        loader: Any = subject.splits["train"].batches()
        return DataLoader(_Noisy(loader.dataset), loader.batch_size, shuffle=True, num_workers=2)  # type: ignore[arg-type]

    return subject.map_split("train", lambda split: replace(split, batches=build))
