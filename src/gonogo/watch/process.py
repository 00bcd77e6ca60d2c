"""Watch a whole process: a file of its own, an end when enough was seen, and what became of the script."""

import atexit
import contextlib
import itertools
import os
import sys
import threading
import warnings
from pathlib import Path

from gonogo.core.redact import redact
from gonogo.watch.ending import Ending, Enough, Stop
from gonogo.watch.lines import failing
from gonogo.watch.live.ranks import rank
from gonogo.watch.orders import Orders
from gonogo.watch.taps import begin, loaders
from gonogo.watch.tracer import Tracer

HELD = 40  # events that are kept back: a process that is killed loses them
UNSTEPPED = 4  # backward passes in the place of an optimizer step, where there is no optimizer


def watch_process(orders: Orders) -> None:
    """Watch this whole process, write a file of its own, end it when enough was seen."""
    file = _File(orders)
    _watch(Tracer(file.write, file.flush), orders)


class _File:
    """The recording of this process on disk. That it cannot be written must not become the script's mistake."""

    def __init__(self, orders: Orders, most: int = HELD) -> None:
        self.path = Path(orders.folder) / f"{os.getpid()}.jsonl"
        self.most, self.lost = most, False
        self.lines: list[str] = []
        self.flush()

    def write(self, line: str) -> None:
        if not self.lost:
            self.lines.append(line)
        if len(self.lines) >= self.most:
            self.flush()

    def flush(self) -> None:
        try:
            # Opened anew each time: daemons close all files that they find open.
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(self.lines)
        except OSError as error:
            if not self.lost:
                print(f"gonogo: the rest of the script is not watched: {self.path}: {error.strerror}", file=sys.stderr)
            self.lost = True
        self.lines.clear()


def _watch(tracer: Tracer, orders: Orders) -> None:
    begin(tracer)
    # A child has a copy of the buffer, and would write it a second time.
    os.register_at_fork(before=lambda: tracer.flush(), after_in_child=lambda: _in_child(tracer, orders))
    torch = sys.modules["torch"]
    facts = {"rank": rank(), "threads": torch.get_num_threads()}
    tracer.emit("begin", torch=torch.__version__, cuda=torch.cuda.is_available(), **facts)
    _stop_after(tracer, orders)
    # torch tells of our hooks, which do not mind that a compiled model fires them twice.
    warnings.filterwarnings("ignore", message="Using `torch.compile.module.` when there are global hooks")
    _tell_errors(tracer)
    atexit.register(_end, tracer)


def _in_child(tracer: Tracer, orders: Orders) -> None:
    """A forked child is a worker of a loader, which tells nothing, or it may train: then it has a file of its own."""
    if not tracer.active or tracer.forks_workers:
        tracer.active = False
        return
    tracer.leave()
    held: list[str] = []
    child = Tracer(held.append, lambda: None)

    def open_file() -> None:
        if held:
            file = _File(orders, most=1)  # such children end without a last word
            file.lines += held
            held.clear()
            child.write, child.flush = file.write, file.flush

    with contextlib.suppress(Exception):  # the script must run, watched or not
        child.on_step.append(open_file)
        _watch(child, orders)


def _stop_after(tracer: Tracer, orders: Orders) -> None:
    ending, enough = Ending(lambda: loaders.shut_down(tracer)), Enough(orders)

    def stop_if(steps: int) -> None:
        if enough.reached(steps):
            tracer.end("steps")
            tracer.after_end = ending.stop
            ending.stop()

    def after_backward() -> None:
        if not tracer.all_of("optimizer"):  # weights that the script changes by its own hand: no step will ever come
            stop_if(tracer.backwards // UNSTEPPED)

    tracer.on_step.append(lambda: stop_if(tracer.steps))
    tracer.on_backward.append(after_backward)


def _tell_errors(tracer: Tracer) -> None:
    """Tell of an error that ends the thread which trains; that of the main one is told at the end of all."""
    shown = threading.excepthook

    def tell(given: threading.ExceptHookArgs) -> None:
        if tracer.mine and given.exc_value is not None:
            _failed(tracer, given.exc_value)
        if given.exc_type is not Stop:
            shown(given)

    threading.excepthook = tell


def _end(tracer: Tracer) -> None:
    """Write how the script ended, by the error that Python keeps: the hook that shows it is often the script's own."""
    if (error := getattr(sys, "last_value", None)) is not None:
        _failed(tracer, error)
    tracer.end("exit")


def _failed(tracer: Tracer, error: BaseException) -> None:
    with contextlib.suppress(Exception):
        if isinstance(error, KeyboardInterrupt):
            tracer.end("interrupt")
        elif not isinstance(error, SystemExit):
            tracer.end("error", error=redact(_told(error))[:500], where=failing(error.__traceback__))


def _told(error: BaseException) -> str:
    """An error in one line; of another process, whose traceback it quotes, what it says first and last."""
    lines = [line.strip() for line in f"{type(error).__name__}: {error}".splitlines() if line.strip()]
    before = list(itertools.takewhile(lambda line: "Traceback (most recent call last)" not in line, lines))
    return " ".join(lines if before == lines else [*before, lines[-1]])
