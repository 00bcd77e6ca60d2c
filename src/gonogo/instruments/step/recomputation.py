"""Activation checkpointing, counted or switched off: torch.utils.checkpoint by whatever name it was imported."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils import checkpoint as library


class Calls:
    """How many checkpointed calls were made."""

    def __init__(self) -> None:
        self.count = 0


@contextmanager
def counted(*, keep: bool) -> Iterator[Calls]:
    """Count checkpointed calls; without `keep` their functions run as if they were not checkpointed.

    `checkpoint` itself is often imported by name, so the two functions behind it are replaced.
    """
    calls, reentrant, generator = Calls(), library.CheckpointFunction, library._checkpoint_without_reentrant_generator

    class Function:
        @staticmethod
        def apply(function: Any, preserve: bool, *args: Any) -> Any:
            calls.count += 1
            return reentrant.apply(function, preserve, *args) if keep else function(*args)

    def pieces(*args: Any, **kwargs: Any) -> Any:
        calls.count += 1
        return generator(*args, **kwargs) if keep else _plain()

    library.CheckpointFunction, library._checkpoint_without_reentrant_generator = Function, pieces  # type: ignore
    try:
        yield calls
    finally:
        library.CheckpointFunction, library._checkpoint_without_reentrant_generator = reentrant, generator


def _plain() -> Iterator[None]:
    """Nothing before the call, nothing after it."""
    yield
