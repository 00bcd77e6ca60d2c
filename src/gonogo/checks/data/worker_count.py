"""The samples must not depend on how many workers read them."""

from collections import Counter
from dataclasses import replace
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation
from gonogo.errors import NotApplicable
from gonogo.instruments.data import ledger
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_READ = "ours: judged only where two readings without workers, in another order and under another seed, agree"


@check(
    needs={C.TRAIN},
    effort=Effort.READ,
    after=("data.epoch-coverage",),
    criteria=[
        at_most("changed", warn=0, source=_READ),
        at_most("lost", warn=0, source=_READ),
        at_most("repeated", warn=0, source=_READ),
    ],
    since="0.2",
)
def worker_count(session: Session, *, limit: int = 24, most: int = 4000) -> Observation:
    """Workers read the samples that one process reads | Workers read other samples than one process

    What: where the training loader has workers, reads samples with them and without. `changed` is the share of up to
        `limit` indices whose sample is another one in a worker, though it is the same in two readings without. Of an
        iterable data set of up to `most` items, `lost` is the share of the items of a plain reading that the workers do
        not yield, `repeated` the share of what they yield too often. Streams that shuffle or draw are left alone.
    Why: an open file that workers inherit has one position for all of them; shards that are cut by rounding lose their
        rest, and shards that overlap count twice. With num_workers=0, where people debug, all is well.
    Fix: open files in __getitem__ or worker_init_fn; cut streams with itertools.islice(items, id, None, num_workers).
    Shapes: any.
    Units: changed, lost, repeated: 1 (n: samples compared).
    Source: pytorch.org, IterableDataset; huggingface/datasets issues 3423 and 5360.
    """
    loader = ledger.torch_loader(session.loader("train"))
    if loader is None or loader.num_workers < 1:
        raise NotApplicable("the training loader has no workers")
    if isinstance(loader.dataset, IterableDataset):
        return Observation(_of_stream(session, loader.num_workers, most))
    indices = ledger.some_indices(ledger.map_style(session, "train"), limit)
    one, two = _plain(session, indices, 1), _plain(session, indices[::-1], 2)
    stable = [index for index in indices if one[index] == two[index]]
    if not stable:
        raise NotApplicable("each reading of a sample is another one")
    seen = [ledger.print_of(item) for item in ledger.by_workers(_fresh(session), stable, loader.num_workers)]
    changed = sum(one[index] != print_ for index, print_ in zip(stable, seen, strict=True))
    return Observation({"changed": Measurement(changed / len(stable), n=len(stable))})


def _fresh(session: Session) -> DataLoader[Any]:
    loader = ledger.torch_loader(session.loader("train"))
    if loader is None:
        raise NotApplicable("the training loader is another one each time")
    return loader


def _plain(session: Session, indices: list[int], seed: int) -> dict[int, bytes]:
    data: Any = _fresh(session).dataset
    with seeding.seeded(seed):
        return {index: ledger.print_of(data[index]) for index in indices}


def _of_stream(session: Session, workers: int, most: int) -> dict[str, Measurement]:
    seconds, counts = 0.1 * session.seconds_left, []
    for seed, number in ((1, 0), (2, 0), (1, workers)):
        with seeding.seeded(seed):
            items = ledger.items_of_stream(_fresh(session), number)
            read = ledger.read_pass(items, most=most * (number or 1), seconds=seconds)
        if not (read.complete and read.prints):
            raise NotApplicable("the stream is empty, or too long to be read three times")
        counts.append(Counter(read.prints))
    one, two, several = counts
    if one != two:
        raise NotApplicable("each reading of the stream gives other items")
    lost, repeated = (one - several).total() / one.total(), (several - one).total() / several.total()
    return {"lost": Measurement(lost, n=one.total()), "repeated": Measurement(repeated, n=several.total())}


class _Shards(IterableDataset[Any]):
    """Shards of equal size: the rest belongs to nobody."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __iter__(self) -> Any:
        worker = get_worker_info()
        start, size = (worker.id, len(self.data) // worker.num_workers - 1) if worker else (0, len(self.data))
        return (self.data[index] for index in range(start * size, (start + 1) * size))


@fault(toy="regressor", expect=Status.WARN)
def the_rest_of_the_shards_is_lost(subject: Subject) -> Subject:
    """Shards are cut one item too short."""

    def build() -> DataLoader[Any]:
        data: Any = subject.splits["train"].batches().dataset  # type: ignore[attr-defined]
        return DataLoader(_Shards(data), 16, num_workers=2)

    return subject.map_split("train", lambda split: replace(split, batches=build))
