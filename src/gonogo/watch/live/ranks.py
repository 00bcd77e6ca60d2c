"""What one rank finds stops all of them, after the same step.

A rank that stops alone leaves the others waiting for its gradients. They are told through the store by which they found
each other, never by a collective: a rank that does not join one, for whatever reason, would hang the training.
"""

import json
import os
from collections.abc import Sequence
from itertools import count
from typing import Any

import torch

_OPENED = count()  # all ranks open their watches in the same order


def rank() -> int:
    """The number of this process among those that train together."""
    if _together():
        return torch.distributed.get_rank()
    given = os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or "0"
    return int(given) if given.isdigit() else 0


class Ranks:
    """The word that passes between them, every so many steps; where there is one rank only, it is taken at once."""

    def __init__(self, first: int, every: int) -> None:
        self.first, self.every = first, every
        self._key = f"gonogo/stop/{next(_OPENED)}"
        self._store = _store()
        self._told: list[Any] | None = None  # steps after which to stop, and why

    @property
    def alone(self) -> bool:
        """Is there nobody to wait for?"""
        return self._store is None

    def agreed(self, taken: int, asked: Sequence[str] | None) -> Sequence[str] | None:
        """Why all of them stop after `taken` steps; `asked` is why this one would."""
        if self._store is None:
            return asked
        if self._told is None and self._asks(taken):
            self._told = json.loads(self._store.get(self._key)) if self._store.check([self._key]) else None
            if self._told is None and asked is not None:
                # All ask at the next such step, and with the last word read none needs the store in the step after it.
                self._told = [next(filter(self._asks, count(taken + 1))) + 1, *asked]
                self._store.set(self._key, json.dumps(self._told))
        return self._told[1:] if self._told is not None and taken >= self._told[0] else None

    def _asks(self, taken: int) -> bool:
        return taken <= self.first or taken % self.every == 0


def _together() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _store() -> Any:
    if not _together() or torch.distributed.get_world_size() == 1:
        return None
    try:
        # Not part of the public interface, so its absence costs the agreement and nothing else.
        return torch.distributed.distributed_c10d._get_default_store()
    except Exception:
        return None
