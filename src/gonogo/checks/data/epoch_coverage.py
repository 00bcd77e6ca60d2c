"""An epoch shows every training sample once, and the next epoch shows them again."""

from dataclasses import replace
from itertools import islice
from typing import Any

from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data.dataloader import _BaseDataLoaderIter

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation
from gonogo.errors import NotApplicable
from gonogo.instruments.data import ledger, wrapped
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_START = 8  # batches


@check(
    needs={C.TRAIN},
    effort=Effort.READ,
    criteria=[
        at_most("copies", fail=1, source="exact: each item of the stream comes once per worker, not once"),
        at_most("lost_in_second_epoch", warn=0.1, fail=0.5, source="ours: batches by length vary by less"),
        at_most("missing_batches", warn=0.0, fail=0.2, source="ours: lengths of batches by length are estimates"),
        at_most("never_drawn", warn=0.0, source="ours: samples may be left out on purpose"),
        at_most("cut_short", warn=0.2, fail=0.6, source="ours: a declared limit warns only; a miscount is a divisor"),
    ],
    since="0.2",
)
def epoch_coverage(session: Session, *, limit: int = 20000) -> Observation:
    """An epoch is what it says it is | Epochs repeat, lose or end samples early

    What: goes over the training loader twice. `lost_in_second_epoch` is the share of the first pass that the second
        does not have (1: it is empty), `missing_batches` the share of its own len() that the loader does not give.
        For an iterable data set with several workers, `copies` is how often each item comes in one epoch, compared with
        one reading without workers. `never_drawn` is the share of the data set that a sampler of the subject's own,
        said to be as long as the data set, did not draw in three epochs. `cut_short` is the share of the batches of an
        inner loader that a wrapper does not hand out, though it starts it anew each epoch. Endless streams, drop_last,
        weighted samplers, draws with replacement, and wrappers that go on where they stopped are left alone.
    Why: a stream that each worker reads in full is trained on several times per epoch, batch by batch the same samples;
        an iterator made once is empty from the second epoch on; the schedule counts steps that never happen.
    Fix: split the stream by torch.utils.data.get_worker_info(); make the iterator inside the loop over epochs.
    Shapes: any.
    Units: all: 1 (n: batches read).
    Source: huggingface/datasets issues 3423 and 5360; transformers issue 33455; PyTorch, IterableDataset.
    """
    given = session.loader("train")
    loader = ledger.torch_loader(given)
    found = _two_passes(session, given, limit)
    if loader is not None and (copies := ledger.copies(session, loader, limit)):
        found["copies"] = Measurement(copies)
    if loader is not None and given is not loader:
        found |= _cut_short(session, given, loader, found)
    if loader is not None and given is loader:
        drawn = wrapped.never_drawn(loader, limit)
        found |= {} if drawn is None else {"never_drawn": Measurement(drawn)}
    return Observation(found)


def _two_passes(session: Session, given: Any, limit: int) -> dict[str, Measurement]:
    seconds = 0.1 * session.seconds_left
    with seeding.seeded(session.seed):
        first = ledger.count_pass(given, most=limit, seconds=seconds)
        # A pass that is not waited for can only be compared at its start.
        most = limit if first.complete else min(first.batches, _START)
        second = ledger.count_pass(given, most=most, seconds=3 * seconds)
    if not first.batches:
        raise NotApplicable("the training loader gives no batch")
    lost = max(1.0 - second.batches / first.batches, 0.0) if second.complete else 0.0
    # Who gives a generator, and not something that makes one, may mean to go over the data once.
    once = hasattr(given, "__next__") and not isinstance(given, _BaseDataLoaderIter)
    found = {"lost_in_second_epoch": Measurement(0.0 if once else lost, n=first.batches)}
    says = ledger.length_of(given)
    if (
        says
        and first.complete
        and not isinstance(getattr(ledger.torch_loader(given), "dataset", None), IterableDataset)
    ):
        found["missing_batches"] = Measurement(max(1.0 - first.batches / says, 0.0), n=first.batches)
    return found


def _cut_short(session: Session, given: Any, loader: Any, found: dict[str, Measurement]) -> dict[str, Measurement]:
    passes = found["lost_in_second_epoch"]
    whole = ledger.length_of(loader)
    if passes.value or not passes.n or not whole or passes.n >= whole:
        return {}  # endless, or nothing is missing
    share = wrapped.left_unread(given, loader)
    said = share and wrapped.declares_limit(given, session.subject.config)
    bounds: dict[str, Any] = {"low": 0.0, "high": share} if said else {}
    return {"cut_short": Measurement(share, n=passes.n, **bounds)} if share else {}


class _Once:
    """A loader that hands out one and the same iterator."""

    def __init__(self, loader: Any) -> None:
        self.batches = iter(loader)

    def __iter__(self) -> Any:
        return self.batches


@fault()
def iterator_made_once(subject: Subject) -> Subject:
    """The iterator is made before the loop over epochs."""
    return subject.map_split("train", lambda split: split.map(_Once))


class _Stream(IterableDataset[Any]):
    def __init__(self, data: Any) -> None:
        self.data = data

    def __iter__(self) -> Any:
        return (self.data[index] for index in range(len(self.data)))


@fault(toy="regressor")
def stream_read_by_each_worker(subject: Subject) -> Subject:
    """Two workers both read the whole stream."""

    def build() -> DataLoader[Any]:
        data: Any = subject.splits["train"].batches().dataset  # type: ignore[attr-defined]
        return DataLoader(_Stream(data), 16, num_workers=2)

    return subject.map_split("train", lambda split: replace(split, batches=build))


class _Steps:
    """A loader that knows its number of steps."""

    def __init__(self, loader: Any, steps: int) -> None:
        self.loader, self.steps = loader, steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Any:
        return islice(iter(self.loader), self.steps)


@fault(toy="regressor")
def steps_divided_twice(subject: Subject) -> Subject:
    """An epoch is as many batches as it should have updates."""
    return subject.map_split("train", lambda split: split.map(lambda loader: _Steps(loader, len(loader) // 4)))  # type: ignore[arg-type]
