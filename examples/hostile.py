"""The healthy digits run with parts that attack or obstruct whoever measures it: what must not take gonogo down.

The hostile act waits in the function that names the groups of samples, which only data.group-overlap calls: that check
must end as an error with the reason, and all others must be answered as for the healthy run.
"""

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any, NoReturn

import digits
import torch

from gonogo import Subject

MEBIBYTE = 2**20


class UnpicklableError(Exception):
    """Cannot be sent to another process: it holds a function that has no name to be found by."""

    def __init__(self) -> None:
        super().__init__("the disk is full")
        self.retry = lambda: None


def segfault() -> Subject:
    return _grouping(lambda: ctypes.memset(0, 0, 1))


def hang() -> Subject:
    return _grouping(_sleep_forever)


def oom() -> Subject:
    return _grouping(_fill_memory)


def exit() -> Subject:
    return _grouping(lambda: os._exit(0))


def quit() -> Subject:
    return _grouping(lambda: sys.exit(0))


def flood() -> Subject:
    return _grouping(_write_forever)


def unpicklable() -> Subject:
    return _grouping(_raise_unpicklable)


def endless() -> Subject:
    """Not hostile, only unbounded: the training stream has no end, as in pre-training. May be GO."""
    healthy = digits.subject()
    return replace(healthy, splits={**healthy.splits, "train": _stream})


def _grouping(act: Callable[[], Any]) -> Subject:
    """The healthy run whose function that names the groups of the training samples does `act`."""
    healthy = digits.subject()
    train = replace(healthy.splits["train"], groups=act)
    return replace(healthy, splits={**healthy.splits, "train": train})


def _sleep_forever() -> NoReturn:
    while True:
        time.sleep(60)


def _fill_memory() -> NoReturn:
    hoard = []
    while True:
        hoard.append(torch.ones(64 * MEBIBYTE, dtype=torch.uint8))  # ones, not empty: the pages must be touched


def _write_forever() -> NoReturn:
    while True:
        print("grouping " * 1000)


def _raise_unpicklable() -> NoReturn:
    raise UnpicklableError


def _stream() -> Iterator[digits.Batch]:
    """Batches of the training part, one pass after the other, without end."""
    train_part, _ = digits.load_splits()
    for seed in count():
        yield from digits.train_loader(train_part, digits.Config(seed=seed))
