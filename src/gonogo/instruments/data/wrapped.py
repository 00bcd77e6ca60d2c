"""What samplers and loaders of a subject's own leave out of an epoch."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler, SequentialSampler

from gonogo.training import batch as nested
from gonogo.training import seeding

_LIMITS = re.compile(r"(?i).*(limit|per_epoch|virtual|max_|overfit|fast_dev|debug|fraction|subset).*")


def declares_limit(wrapper: Any, config: Any) -> bool:
    """Does a name in the configuration, or of an attribute of the wrapper, say that epochs are cut on purpose?"""
    given = dict(nested.walk(config)) if isinstance(config, Mapping) else {}
    names = [path.rsplit(".", 1)[-1] for path, value in given.items() if value]
    names += [name for name, value in getattr(wrapper, "__dict__", {}).items() if isinstance(value, int | float)]
    return any(_LIMITS.fullmatch(name) for name in [*names, type(wrapper).__name__])


def left_unread(wrapper: Any, loader: DataLoader[Any]) -> float:
    """The share of the loader's batches that its wrapper takes in no epoch; 0 if it goes on where it stopped."""
    plain = type(getattr(loader, "sampler", None)) in (RandomSampler, SequentialSampler)
    if isinstance(loader.dataset, IterableDataset) or not plain or not len(loader):
        return 0.0
    taken, starts = _taken(wrapper, loader)
    return max(1.0 - taken / len(loader), 0.0) if starts > 1 else 0.0


def _taken(wrapper: Any, loader: DataLoader[Any]) -> tuple[int, int]:
    """(batches that one pass over the wrapper takes from the loader, how often two passes start the loader)."""
    kind, taken, starts = type(loader), [0], 0

    def batches(self: Any) -> Iterator[Any]:
        nonlocal starts
        starts += 1
        for batch in kind.__iter__(self):
            taken[-1] += 1
            yield batch

    loader.__class__ = type(kind.__name__, (kind,), {"__iter__": batches})
    try:
        for _ in wrapper:
            pass
        taken.append(0)
        next(iter(wrapper), None)
    finally:
        loader.__class__ = kind
    return taken[0], starts


def never_drawn(loader: DataLoader[Any], limit: int) -> float | None:
    """The share of the data that a sampler of the subject's own, as long as the data, did not draw in three epochs."""
    if isinstance(loader.dataset, IterableDataset) or type(loader.batch_sampler) is not BatchSampler:
        return None
    sampler, size = loader.sampler, len(loader.dataset)  # type: ignore[arg-type]
    own = not type(sampler).__module__.startswith("torch.") and hasattr(sampler, "__len__")
    if not own or len(sampler) != size or size > limit:  # type: ignore[arg-type]
        return None
    with seeding.seeded(0):
        drawn = {int(index) for _ in range(3) for index in sampler}
    return 1.0 - len(drawn) / size
