"""Workers of a loader that draw the same random numbers: found by reading the same samples in two of them.

That is done once, in a forked copy of the process with workers as the script sets them up, so the script itself draws
nothing more and waits for nothing.
"""

import hashlib
import json
import os
import random
import select
import signal
import sys
from collections.abc import Mapping
from multiprocessing import get_start_method
from typing import Any

import torch
from torch.utils.data import DataLoader

from gonogo.watch.patch import Undo, quietly
from gonogo.watch.tracer import Tracer

AFTER = 3  # optimizer steps, so that what is built late is there
INDICES, SECONDS, PATIENCE = 12, 30, 2.0


def install(tracer: Tracer) -> list[Undo]:
    """Ask once, for the first loader with workers that training reads from."""
    asked: list[tuple[int, int]] = []  # (pipe, process)

    @quietly
    def ask() -> None:
        read = tracer.read_by_workers() if tracer.steps >= AFTER and not asked else None
        if read is not None and get_start_method(allow_none=True) in (None, "fork"):  # asking must not decide it
            asked.append(_forked(*read))

    @quietly
    def answer() -> None:
        for pipe, process in asked:
            ready, _, _ = select.select([pipe], [], [], PATIENCE)
            told = os.read(pipe, 4096) if ready else b""
            os.close(pipe)
            if not told:
                os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            if told:
                tracer.emit("workers", **json.loads(told))

    tracer.on_step.append(ask)
    tracer.on_end.append(answer)
    return []


def _forked(data: Any, worker_init_fn: Any) -> tuple[int, int]:
    out, into = os.pipe()
    process = os.fork()
    if process:
        os.close(into)
        return out, process
    try:  # the copy: it ends here, whatever happens, without a word
        signal.alarm(SECONDS)
        quiet = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(quiet, descriptor)
        torch.set_num_threads(1)
        os.write(into, json.dumps(compare(data, worker_init_fn)).encode())
    finally:
        os._exit(0)


def compare(data: Any, worker_init_fn: Any = None) -> dict[str, int]:
    """How many samples are random within a worker, and of how many of these two workers draw alike.

    Once as they are, and once (`own_`) with torch, numpy and random seeded before each sample, so that only generators
    of the data set's own remain: beside crops that differ, their noise may well be the same.
    """
    indices = list(range(0, len(data), max(len(data) // INDICES, 1)))[:INDICES]
    drawn, same = _alike(data, indices, worker_init_fn, _digest)
    own, own_same = _alike(data, indices, _seeded(worker_init_fn), _digest_and_seed)
    return {"random": drawn, "same": same, "own_random": own, "own_same": own_same, "asked": len(indices)}


def _alike(data: Any, indices: list[int], worker_init_fn: Any, collate_fn: Any) -> tuple[int, int]:
    # Single samples go to the workers in turn: the first to one, the second to the other.
    order = [index for index in indices for _ in range(2)] * 2
    reading = DataLoader(
        data,
        batch_size=1,
        sampler=order,
        num_workers=2,
        worker_init_fn=worker_init_fn,
        collate_fn=collate_fn,
    )
    prints = list(reading)
    half = len(order) // 2
    pairs = [(prints[at], prints[at + 1], prints[half + at], prints[half + at + 1]) for at in range(0, half, 2)]
    drawn = [(a, b, c, d) for a, b, c, d in pairs if a != c]
    return len(drawn), sum(a == b and c == d for a, b, c, d in drawn)


def _seeded(worker_init_fn: Any) -> Any:
    def prepare(worker: int) -> None:
        if worker_init_fn is not None:
            worker_init_fn(worker)
        _seed()

    return prepare


def _digest_and_seed(thing: Any) -> str:
    found = _digest(thing)
    _seed()
    return found


def _seed() -> None:
    """Begin the generators that all share anew; only in a worker of the copy."""
    torch.manual_seed(0)
    random.seed(0)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(0)


def _digest(thing: Any) -> str:
    """A print of a sample, taken in the worker."""
    found = hashlib.blake2b(digest_size=8)
    _feed(found, thing)
    return found.hexdigest()


def _feed(found: Any, thing: Any) -> None:
    if isinstance(thing, torch.Tensor):
        flat = thing.detach().cpu().reshape(-1).contiguous()
        found.update(flat.view(torch.uint8).numpy().tobytes())
    elif isinstance(thing, Mapping):
        for key in thing:
            found.update(str(key).encode())
            _feed(found, thing[key])
    elif isinstance(thing, list | tuple):
        for item in thing:
            _feed(found, item)
    else:
        found.update(thing.tobytes() if hasattr(thing, "tobytes") else repr(thing).encode())
