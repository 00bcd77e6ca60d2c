"""Loaders in each form that Lightning takes -> one loader of batches for training, one for validation."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gonogo.adapters.lightning.hooks import is_a, package


class Combined:
    """Batches of several loaders at once, as training_step gets them; Lightning's own iterator adds their places."""

    def __init__(self, combined: Any) -> None:
        self._combined = combined

    def __iter__(self) -> Iterator[Any]:
        for batch, *_ in copy.copy(self._combined):  # a copy: there is one iterator in each
            yield batch

    def __len__(self) -> int:
        combined = copy.copy(self._combined)
        iter(combined)  # its modes count differently, and know how only then
        return len(combined)


def for_training(given: Any, module: Any) -> Any:
    """A loader, or what Lightning makes of a list or dict of them."""
    if isinstance(given, Mapping | list | tuple):
        given = package(module, "utilities.combined_loader").CombinedLoader(given, "max_size_cycle")
    return Combined(given) if is_a(given, "CombinedLoader") else given


def for_validation(given: Any) -> Any:
    """The first where there are several: each is evaluated by itself. None where there are none."""
    if is_a(given, "CombinedLoader"):
        return for_validation(given.flattened) if given._mode == "sequential" else Combined(given)
    several = list(given.values()) if isinstance(given, Mapping) else given
    if isinstance(several, Sequence) and not hasattr(several, "sampler"):
        return several[0] if several else None
    return given
