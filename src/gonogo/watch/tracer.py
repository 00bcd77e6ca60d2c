"""The events of one process: what the taps tell, in order, as JSON lines. Runs inside the user's process."""

import atexit
import contextlib
import json
import os
import sys
import threading
import time
import traceback
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gonogo.watch.ending import Ending, Stop
from gonogo.watch.orders import Orders
from gonogo.watch.patch import Undo

FIRST, EVERY = 5, 10  # tensors are looked at in the first steps and in every tenth: the rest costs next to nothing
CROWD = 200  # events of one kind between two optimizer steps; more say nothing new
FLUSH = 0.5  # seconds: what a killed process may lose

_CURRENT: "Tracer | None" = None


class Tracer:
    """What is known of the process so far, and where it is written."""

    def __init__(self, write: Callable[[str], Any], flush: Callable[[], Any], every: int = EVERY) -> None:
        self.write, self.flush, self.every = write, flush, every
        self.active, self.steps, self.backwards = True, 0, 0
        self.reading: int | None = None  # the pass over a loader from which the last batch came
        self.thread = threading.get_ident()
        self.started = self.flushed = time.perf_counter()
        self.on_step: list[Callable[[], None]] = []  # what the taps want to do after each step
        self.on_end: list[Callable[[], None]] = []
        self.after_end: Callable[[], None] | None = None  # what a step does when enough was seen
        self.read_by_workers: Callable[[], Any] = lambda: None  # (data, worker_init_fn) of the pass that is read
        self.had_gradient = False  # did the optimizer that steps have any gradient before?
        self.stepping = False  # is an optimizer at work, and any backward pass one of its own closure?
        self.evaluated = False  # was there a pass without gradient since the last step?
        self.called: set[int] = set()  # ids of the modules that took part in a forward pass
        self.undo: list[Undo] = []
        self._crowd: dict[str, int] = {}
        self._known: dict[str, dict[int, tuple[Any, int]]] = {}
        self._confessed: set[str] = set()

    @property
    def sampled(self) -> bool:
        """Are tensors looked at in this step?"""
        return self.steps < FIRST or self.steps % self.every == 0

    @property
    def here(self) -> bool:
        """Is this a call in the thread that trains?"""
        return self.active and self.mine

    @property
    def mine(self) -> bool:
        """Is this the thread that trains?"""
        return threading.get_ident() == self.thread

    def emit(self, kind: str, **fields: Any) -> None:
        """Write an event."""
        self._crowd[kind] = count = self._crowd.get(kind, 0) + 1
        if not self.active or count > CROWD:
            return
        now = time.perf_counter()
        event = {"kind": kind, "step": self.steps, "at": round(now - self.started, 5), **fields}
        self.write(json.dumps(event, default=str) + "\n")
        if now - self.flushed > FLUSH:
            self.flush()
            self.flushed = now

    def stepped(self) -> None:
        """An optimizer step is over."""
        self.steps += 1
        self._crowd.clear()
        for act in self.on_step:
            act()

    def number(self, family: str, thing: Any) -> tuple[int, bool]:
        """The number of an object among its kind, and whether it is new. Nothing is kept alive."""
        known = self._known.setdefault(family, {})
        found = known.get(id(thing))
        if found is not None and found[0]() is thing:
            return found[1], False
        known[id(thing)] = (weakref.ref(thing), len(known))
        return len(known) - 1, True

    def all_of(self, family: str) -> list[tuple[int, Any]]:
        """(number, object) of those that are still alive."""
        return [(n, thing) for ref, n in self._known.get(family, {}).values() if (thing := ref()) is not None]

    def end(self, how: str, **fields: Any) -> None:
        """Write the last event; later calls do nothing."""
        if not self.active:
            return
        for act in self.on_end:
            act()
        self._crowd.clear()
        self.emit("end", how=how, **fields)
        self.active = False
        self.flush()

    def confess(self, where: str, error: Exception) -> None:
        """A mistake of the watch itself: told once, in the recording."""
        if where not in self._confessed:
            self._confessed.add(where)
            self.emit("mistake", where=where, error=f"{type(error).__name__}: {error}"[:300])

    def leave(self) -> None:
        """Take every tap out."""
        self.active = False
        while self.undo:
            self.undo.pop()()


def current() -> Tracer | None:
    """The tracer of this process."""
    return _CURRENT if _CURRENT is not None and _CURRENT.active else None


def confess(where: str, error: Exception) -> None:
    """Tell the current tracer of a mistake of the watch itself."""
    if _CURRENT is not None:
        _CURRENT.confess(where, error)


def begin(tracer: Tracer) -> Tracer:
    """Make it the tracer of this process and put all taps in."""
    global _CURRENT
    from gonogo.watch.taps import INSTALLERS

    _CURRENT = tracer
    try:
        for install in INSTALLERS:
            tracer.undo.extend(install(tracer))
    except BaseException:
        tracer.leave()
        raise
    return tracer


def watch_process(orders: Orders) -> None:
    """Watch this whole process, write a file of its own, end it when enough was seen."""
    path = Path(orders.folder) / f"{os.getpid()}.jsonl"
    file = path.open("w", encoding="utf-8")
    tracer = begin(Tracer(file.write, file.flush))
    # A child has a copy of the buffer, and would write it a second time.
    os.register_at_fork(before=file.flush, after_in_child=lambda: _in_child(tracer))
    rank = os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))
    torch = sys.modules["torch"]
    facts = {"rank": int(rank) if rank.isdigit() else 0, "threads": torch.get_num_threads()}
    tracer.emit("begin", torch=torch.__version__, cuda=torch.cuda.is_available(), **facts)
    _stop_after(tracer, orders)
    # torch tells of our hooks, which do not mind that a compiled model fires them twice.
    warnings.filterwarnings("ignore", message="Using `torch.compile.module.` when there are global hooks")
    _tell_errors(tracer)
    atexit.register(tracer.end, "exit")


def _in_child(tracer: Tracer) -> None:
    tracer.active = False  # workers of a loader are part of their parent


def _stop_after(tracer: Tracer, orders: Orders) -> None:
    from gonogo.watch.taps import loaders

    ending = Ending(lambda: loaders.shut_down(tracer))
    first: list[float] = []

    def stop_when_done() -> None:
        now = time.perf_counter()
        if not first:
            first.append(now)
        if tracer.steps >= orders.steps and now - first[0] >= orders.seconds:
            tracer.end("steps")
            tracer.after_end = ending.stop
            ending.stop()

    tracer.on_step.append(stop_when_done)


def _tell_errors(tracer: Tracer) -> None:
    shown = sys.excepthook

    def tell(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        with contextlib.suppress(Exception):
            if not isinstance(error, Stop):
                last = traceback.extract_tb(trace)[-1:] or [None]
                where = f"{Path(last[0].filename).name}:{last[0].lineno}" if last[0] else ""
                tracer.end("error", error=f"{kind.__name__}: {error}"[:500], where=where)
        shown(kind, error, trace)

    sys.excepthook = tell
