"""The events of one process: what the taps tell, in order, as JSON lines. Runs inside the user's process."""

import json
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from gonogo.watch.lines import line
from gonogo.watch.patch import Undo

FIRST, EVERY = 5, 10  # tensors are looked at in the first steps and in every tenth: the rest costs next to nothing
SHIFT = 7  # has no divisor in common with 10 or 50
CROWD = 200  # events of one kind between two optimizer steps; more say nothing new
FLUSH = 0.5  # seconds: what a killed process may lose


class Tracer:
    """What is known of the process so far, and where it is written."""

    def __init__(self, write: Callable[[str], Any], flush: Callable[[], Any], every: int = EVERY) -> None:
        self.write, self.flush, self.every = write, flush, every
        self.active, self.steps, self.backwards, self.forwards = True, 0, 0, 0
        self.reading: int | None = None  # the pass over a loader from which the last batch came
        self.thread = threading.get_ident()
        self.started = self.flushed = time.perf_counter()
        self.on_step: list[Callable[[], None]] = []  # what the taps want to do after each step
        self.on_backward: list[Callable[[], None]] = []  # and after each backward pass
        self.on_end: list[Callable[[], None]] = []
        self.after_end: Callable[[], None] | None = None  # what a step does when enough was seen
        self.forks_workers = False  # is a loader starting its workers, which are part of this process?
        self.read_by_workers: Callable[[], Any] = lambda: None  # (data, worker_init_fn) of the pass that is read
        self.had_gradient = False  # did the optimizer that steps have any gradient before?
        self.stepping = False  # is an optimizer at work, and any backward pass one of its own closure?
        self.weighed = 0.0  # when the memory of the process was last read
        self.evaluated = False  # was there a pass without gradient since the last step?
        self.scored: int | None = None  # the last pass in which a loss was taken without gradient
        self.moved: dict[int, int] = {}  # the last step of each optimizer
        self.dropping: set[int] = set()  # ids of the models in which torch.nn.functional drops something
        self.called: set[int] = set()  # ids of the modules that took part in a forward pass
        self.undo: list[Undo] = []
        self._crowd: dict[str, int] = {}
        self._known: dict[str, dict[int, tuple[Any, int]]] = {}
        self._counts: dict[str, int] = {}
        self._confessed: set[str] = set()

    @property
    def sampled(self) -> bool:
        """Are tensors looked at in this step?"""
        # One step of each round of `every`, another one each time: of optimizers that take turns each has its own.
        return self.steps < FIRST or self.steps % self.every == SHIFT * (self.steps // self.every) % self.every

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
        event = {"kind": kind, "step": self.steps, "at": round(now - self.started, 5), "line": line(), **fields}
        self.write(json.dumps(event, default=str) + "\n")
        if now - self.flushed > FLUSH:
            self.flush()
            self.flushed = now

    def stepped(self) -> None:
        """An optimizer step is over."""
        self.steps += 1
        self.thin_out()
        for act in self.on_step:
            act()

    def thin_out(self) -> None:
        """Something new begins, a step or a pass over data: its events are not crowded out by those before."""
        self._crowd.clear()

    def number(self, family: str, thing: Any) -> tuple[int, bool]:
        """The number of an object among its kind, and whether it is new. Nothing is kept alive."""
        known = self._known.setdefault(family, {})
        found = known.get(id(thing))
        if found is not None and found[0]() is thing:
            return found[1], False
        number = self._counts[family] = self._counts.get(family, -1) + 1  # addresses are used again, numbers are not
        known[id(thing)] = (weakref.ref(thing), number)
        return number, True

    def all_of(self, family: str) -> list[tuple[int, Any]]:
        """(number, object) of those that are still alive."""
        return [(n, thing) for ref, n in self._known.get(family, {}).values() if (thing := ref()) is not None]

    def optimizer(self, optimizer: Any) -> int:
        """The number of an optimizer; wrappers that share its groups of parameters have it too."""
        own, _ = self.number("optimizer", optimizer)
        groups = {id(group) for group in optimizer.param_groups}
        sharing = (n for n, one in self.all_of("optimizer") if any(id(group) in groups for group in one.param_groups))
        return min(own, *sharing)

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
        self.on_step.clear()
        self.on_backward.clear()
        self.on_end.clear()
