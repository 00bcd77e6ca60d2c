"""Every epoch should bring another order and other augmentations."""

from dataclasses import replace
from typing import Any

import torch
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, RandomSampler

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation
from gonogo.errors import NotApplicable
from gonogo.instruments.data import ledger
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_SOURCE = "exact: random numbers that repeat from epoch to epoch are not random"


@check(
    needs={C.TRAIN},
    effort=Effort.READ,
    criteria=[
        at_most("repeated_order", fail=0, source=_SOURCE),
        at_most("repeated_draws", warn=0.5, fail=0.99, source=_SOURCE),
        at_most("order_left_to_the_loop", warn=0, source="ours: the training loop may call set_epoch, unseen"),
    ],
    since="0.2",
)
def epoch_randomness(session: Session, *, limit: int = 64) -> Observation:
    """Epochs differ | Every epoch repeats the order or the augmentations of the first

    What: goes over one training loader twice. `repeated_order` is 1 if a loader that shuffles, or whose samples are
        random, gives the same batches again; for a plain DataLoader with a DistributedSampler, whose set_epoch only
        the training loop can call, `order_left_to_the_loop` is. `repeated_draws` is the share of indices whose random
        augmentation is the same in both epochs (read by a worker set up as the loader's own).
    Why: without set_epoch each epoch has the order of the first. Workers that are seeded with a constant draw the
        augmentations of the first epoch in all later ones, as if the data set had been augmented once.
    Fix: sampler.set_epoch(epoch) at the start of each epoch; seed workers from torch.initial_seed(), not a constant.
    Shapes: any.
    Units: repeated_order, order_left_to_the_loop: {loader}; repeated_draws: 1 (n: random indices).
    Source: pytorch issue 31771; transformers issue 4398; Lightning issue 20412.
    """
    given = session.loader("train")
    loader = ledger.torch_loader(given)
    if loader is None:
        raise NotApplicable("the training loader is no DataLoader, and holds none")
    found: dict[str, Measurement] = {}
    orders = _orders(session, given, loader, limit)
    if orders is not None:
        repeated = int(orders[0] == orders[1])
        bare = type(given) is DataLoader and isinstance(loader.sampler, DistributedSampler)
        found["repeated_order"] = Measurement(0 if bare else repeated, "{loader}", n=len(orders[0]))
        found["order_left_to_the_loop"] = Measurement(repeated if bare else 0, "{loader}", n=len(orders[0]))
    draws = _draws(session, loader, min(limit, 24))
    if draws is not None:
        found["repeated_draws"] = draws
    if not found:
        raise NotApplicable("the training loader neither shuffles nor draws")
    return Observation(found)


def _orders(session: Session, given: Any, loader: Any, limit: int) -> tuple[Any, Any] | None:
    """What two passes gave, if they are meant to differ."""
    if loader.batch_size is None or isinstance(loader.dataset, IterableDataset):
        return None
    indices = ledger.some_indices(loader, 8)
    if ledger.distinct(loader, indices) < 4:
        return None
    shuffles = isinstance(loader.sampler, RandomSampler) or getattr(loader.sampler, "shuffle", False) is True
    if not shuffles and not ledger.is_random(loader, indices, session.seed):
        return None
    with seeding.seeded(session.seed):
        passes = [ledger.read_pass(given, most=limit, seconds=0.2 * session.seconds_left) for _ in range(2)]
    size = min(len(one.prints) for one in passes)
    return (passes[0].prints[:size], passes[1].prints[:size]) if size else None


def _draws(session: Session, loader: Any, limit: int) -> Measurement | None:
    """The share of random samples that are drawn again in the next epoch; None where none is random."""
    if not loader.num_workers or loader.batch_size is None or isinstance(loader.dataset, IterableDataset):
        return None
    indices = ledger.some_indices(loader, limit)
    count, worker = len(indices), ledger.by_workers(loader, indices * 2, 1)
    with seeding.seeded(session.seed):
        one, two = ([ledger.print_of(sample) for sample in worker] for _ in range(2))
    random = [at for at in range(count) if one[at] != one[count + at]]
    if len(random) < 6:
        return None
    same = sum(one[at] == two[at] and one[count + at] == two[count + at] for at in random)
    return Measurement(same / len(random), n=len(random))


class _Epochs:
    """A loader that may tell its sampler the epoch."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.loader = loader

    def __iter__(self) -> Any:
        return iter(self.loader)


def _distributed(subject: Subject, wrap: Any) -> Subject:
    def build() -> Any:
        loader: Any = subject.splits["train"].batches()
        sampler = DistributedSampler(loader.dataset, num_replicas=2, rank=0)
        return wrap(DataLoader(loader.dataset, loader.batch_size, sampler=sampler))

    return subject.map_split("train", lambda split: replace(split, batches=build))


@fault()
def set_epoch_forgotten(subject: Subject) -> Subject:
    """The run's own loader goes over a DistributedSampler and does not tell it the epoch."""
    return _distributed(subject, _Epochs)


@fault(expect=Status.WARN, toy="regressor")
def distributed_sampler_alone(subject: Subject) -> Subject:
    """A DataLoader with a DistributedSampler: nobody is seen to call set_epoch."""
    return _distributed(subject, lambda loader: loader)


class _Noisy:
    def __init__(self, data: Any) -> None:
        self.data = data

    def __getitem__(self, index: int) -> Any:
        return torch.randn(8), self.data[index][1]

    def __len__(self) -> int:
        return len(self.data)


@fault(toy="regressor")
def workers_seeded_with_a_constant(subject: Subject) -> Subject:
    """worker_init_fn seeds each worker with its number, in every epoch."""

    def build() -> Any:
        data: Any = subject.splits["train"].batches().dataset  # type: ignore[attr-defined]
        return DataLoader(_Noisy(data), 16, shuffle=True, num_workers=1, worker_init_fn=_constant)  # type: ignore[arg-type]

    return subject.map_split("train", lambda split: replace(split, batches=build))


def _constant(worker: int) -> None:
    torch.manual_seed(worker)
