"""What a watch during training hears of a process: values that are differentiated, batches, schedules. Next to free.

Fewer and lighter taps than those of `gonogo watch`, which reads every loss when it arises; here a GPU is never waited
for: values stay tensors until somebody looks.
"""

import threading
import time
import weakref
from typing import Any

import torch
from torch import Tensor
from torch.optim import lr_scheduler
from torch.utils.data.dataloader import _BaseDataLoaderIter

from gonogo.watch.patch import Undo, quietly, replace, tap

_SCHEDULES = (lr_scheduler.LRScheduler, lr_scheduler.ReduceLROnPlateau)


class Ears:
    """Counts and raw values since they were last taken."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.losses: list[Tensor] = []
        self.waiting_since: float | None = None
        self.waited = 0.0
        self.epochs = self.ticks = 0
        self.backwards = 0  # since the last step of any optimizer
        self.batch_size: int | None = None
        self.by_index = False  # was the last backward pass fed from a data set that is read by index?
        self._by_index = False
        self._data = 0  # identity of the data set from which the last batch came
        self._trained: set[int] = set()  # of those that fed backward passes
        self._raw: Tensor | None = None  # the loss before it was scaled
        self._reading: weakref.ref[Any] | None = None  # the pass from which the last batch came
        self._training: weakref.ref[Any] | None = None  # the pass from which the last backward pass was fed

    @property
    def here(self) -> bool:
        """Is this the thread that trains?"""
        return threading.get_ident() == self.thread

    @property
    def fixed(self) -> bool:
        """Did all backward passes come from one data set that is read by index? A rollout or a task brings another."""
        return self.by_index and len(self._trained) == 1

    @property
    def filling(self) -> bool:
        """May a cache or a buffer of data still be filling? What streams through a loader is kept by none."""
        return not self.epochs if self.by_index else self._training is None

    def install(self) -> list[Undo]:
        """Put the taps in."""
        undo = [
            tap(self, torch.autograd, "backward", before=self._backward),
            tap(self, torch.amp.GradScaler, "scale", before=self._scale),
            replace(_BaseDataLoaderIter, "__next__", self._fetching),
        ]
        kinds = {
            kind for kind in vars(lr_scheduler).values() if isinstance(kind, type) and issubclass(kind, _SCHEDULES)
        }
        return undo + [tap(self, kind, "step", after=self._tick) for kind in kinds if "step" in vars(kind)]

    @quietly
    def _scale(self, _: Any, outputs: Any, *__: Any, **___: Any) -> None:
        if isinstance(outputs, Tensor) and outputs.numel() == 1:
            self._raw = outputs.detach().clone()

    @quietly
    def _backward(self, tensors: Any, *_: Any, **__: Any) -> None:
        raw, self._raw = self._raw, None
        self.backwards += 1
        roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        if len(roots) == 1 and isinstance(roots[0], Tensor) and roots[0].numel() == 1:
            # A copy: the loss may be a view of something large, or be changed in place.
            self.losses.append(roots[0].detach().clone() if raw is None else raw)
            self._training = self._reading
            self.by_index = self._by_index
            if len(self._trained) < 2:
                self._trained.add(self._data)

    def _tick(self, *_: Any, **__: Any) -> None:
        self.ticks += 1

    def _fetching(self, old: Any) -> Any:
        def fetch(iterator: Any) -> Any:
            if not self.here:
                return old(iterator)
            self.waiting_since = started = time.monotonic()
            try:
                batch = old(iterator)
            except StopIteration:
                trained = self._training() if self._training is not None else None
                self.epochs += trained is iterator
                raise
            finally:
                self.waiting_since = None
            self.waited += time.monotonic() - started
            if self._reading is None or self._reading() is not iterator:
                self._reading = weakref.ref(iterator)
                self._by_index, self._data = iterator._dataset_kind == 0, id(iterator._dataset)
                size = getattr(iterator._index_sampler, "batch_size", None)
                self.batch_size = size if isinstance(size, int) else None
            return batch

        return fetch
