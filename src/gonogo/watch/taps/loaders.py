"""Loaders: passes over the data, their order, and how long the script waits for a batch."""

import time
import weakref
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter, _MultiProcessingDataLoaderIter

from gonogo.watch.patch import Undo, quietly, replace
from gonogo.watch.taps.contents import first_samples
from gonogo.watch.taps.datasets import Datasets
from gonogo.watch.tracer import Tracer

ORDER = 20_000  # indices that the digest of an order covers


@dataclass(slots=True)
class _Pass:
    """One pass over a loader."""

    number: int
    loader: int
    batches: int = 0
    waited: float = 0.0
    indices: int = 0
    order: int = 0
    ascending: bool = True
    last: int = -1
    outer: int | None = None  # the pass that was being read when this one began
    calls: int = 0  # forward passes before its last batch came
    first: int | None = None  # what its first samples contain


def install(tracer: Tracer) -> list[Undo]:
    """See passes begin, batches come and passes end."""
    taps = _Taps(tracer)
    tracer.on_end.append(taps.end_all)
    tracer.read_by_workers = taps.reading
    return [
        replace(DataLoader, "__iter__", taps.opening),
        replace(_BaseDataLoaderIter, "__next__", taps.fetching),
        replace(_BaseDataLoaderIter, "_next_index", taps.indexing),
    ]


class _Taps:
    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.passes: weakref.WeakKeyDictionary[Any, _Pass] = weakref.WeakKeyDictionary()
        self.parallel: dict[int, tuple[weakref.ref[Any], Any]] = {}  # passes that copies of the data set read
        self.unfinished: dict[int, _Pass] = {}
        self.datasets = Datasets(tracer)
        self.open: _Pass | None = None  # workers draw indices before the iterator is known
        self.count = 0

    def opening(self, old: Any) -> Any:
        def iterate(loader: DataLoader[Any]) -> Any:
            if not self.tracer.here:
                return old(loader)
            self.open = self.begin(loader)
            self.tracer.forks_workers = True
            try:
                iterator = old(loader)
            finally:
                self.tracer.forks_workers = False
            if self.open is not None:
                if _reads_apart(loader):
                    self.parallel[self.open.number] = (weakref.ref(iterator), loader.worker_init_fn)
                if (before := self.passes.get(iterator)) is not None:  # persistent workers: the same one, begun anew
                    self.end(before, complete=False)
                self.passes[iterator] = self.unfinished[self.open.number] = self.open
                # A pass that the script leaves early ends when nobody holds it any more.
                weakref.finalize(iterator, self.end, self.open, complete=False).atexit = False
            self.open = None
            return iterator

        return iterate

    def fetching(self, old: Any) -> Any:
        def fetch(iterator: Any) -> Any:
            found = self.passes.get(iterator) if self.tracer.here else None
            if found is None:
                return old(iterator)
            started = time.perf_counter()
            try:
                batch = old(iterator)
            except StopIteration:
                self.end(found, complete=True)
                raise
            self.fetched(found, time.perf_counter() - started, batch)
            return batch

        return fetch

    def indexing(self, old: Any) -> Any:
        def index(iterator: Any) -> Any:
            drawn = old(iterator)
            found = self.open or self.passes.get(iterator)
            if found is not None and self.tracer.active:
                _follow(found, drawn)
            return drawn

        return index

    def begin(self, loader: DataLoader[Any]) -> _Pass | None:
        try:
            number, new = self.tracer.number("loader", loader)
            if new:
                self.tracer.emit("loader", loader=number, dataset=self.datasets.number(loader), **describe(loader))
        except Exception as error:
            self.tracer.confess("loaders.begin", error)
            return None
        self.count += 1
        self.tracer.thin_out()
        return _Pass(self.count, number)

    def reading(self) -> tuple[Any, Any] | None:
        """The data and worker_init_fn of the pass that is read, if copies of the data set read it by index."""
        found = self.parallel.get(self.tracer.reading or 0)
        iterator = found[0]() if found is not None else None
        return (iterator._dataset, found[1]) if found is not None and iterator is not None else None

    @quietly
    def fetched(self, found: _Pass, seconds: float, batch: Any) -> None:
        found.batches += 1
        found.waited += seconds
        if found.batches == 1:
            found.outer = self.tracer.reading if self.tracer.reading in self.unfinished else None
            found.first = first_samples(batch)
        found.calls = self.tracer.forwards
        self.tracer.reading = found.number
        fields = {"pass": found.number, "loader": found.loader, "batch": found.batches, "wait": round(seconds, 6)}
        self.tracer.emit("fetch", **fields)

    @quietly
    def end(self, found: _Pass, complete: bool) -> None:
        self.parallel.pop(found.number, None)
        if self.unfinished.pop(found.number, None) is None or not self.tracer.here:
            return
        if self.tracer.reading == found.number and (complete or not self._in_hand(found)):
            self.tracer.reading = found.outer if found.outer in self.unfinished else None
        order = {"indices": found.indices, "order": found.order, "ascending": found.ascending, "first": found.first}
        fields = {"loader": found.loader, "batches": found.batches, "waited": round(found.waited, 5), **order}
        self.tracer.emit("pass", **{"pass": found.number, "complete": complete, **fields})

    def _in_hand(self, found: _Pass) -> bool:
        """Is its one batch still to be used, as behind `x, y = next(iter(loader))`?"""
        return found.batches == 1 and found.outer is None and found.calls == self.tracer.forwards

    def end_all(self) -> None:
        for found in list(self.unfinished.values()):
            self.end(found, complete=False)


def describe(loader: DataLoader[Any]) -> dict[str, Any]:
    """What a loader says of itself."""
    return {
        "samples": _length(loader.dataset),
        "drawn": _length(loader.sampler),
        "length": _length(loader),
        "batch_size": loader.batch_size,
        "drop_last": loader.drop_last,
        "workers": loader.num_workers,
        "sampler": type(loader.sampler).__name__,
        "batch_sampler": type(loader.batch_sampler).__name__,
        "iterable": loader._dataset_kind != 0,
    }


def _reads_apart(loader: DataLoader[Any]) -> bool:
    """Do several copies of the data set read: those of several workers, or those of one worker in each epoch?"""
    anew = loader.num_workers == 1 and not loader.persistent_workers and not hasattr(loader.dataset, "set_epoch")
    return loader._dataset_kind == 0 and (loader.num_workers >= 2 or anew)


def _length(thing: Any) -> int | None:
    try:
        return len(thing)
    except Exception:  # of the script's own classes: what they raise is not ours to tell
        return None


def _follow(found: _Pass, drawn: Any) -> None:
    """Add the indices of a batch to the digest of the order."""
    drawn = drawn if isinstance(drawn, list | tuple) else (drawn,)
    if found.indices < ORDER and all(isinstance(index, int) for index in drawn):
        found.indices += len(drawn)
        found.order = hash((found.order, *drawn))
        found.ascending = found.ascending and all(a < b for a, b in zip((found.last, *drawn), drawn, strict=False))
        found.last = drawn[-1] if drawn else found.last


def shut_down(tracer: Tracer) -> None:
    """End the workers of all loaders, so that none of them complains when the process is gone."""
    import gc

    for thing in gc.get_objects():
        if issubclass(type(thing), _MultiProcessingDataLoaderIter):  # isinstance would wake what only looks like one
            thing._shutdown_workers()
