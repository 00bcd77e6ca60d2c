"""What batches contain, told by a few numbers: the same samples anew, and the spread of what a model is given."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

SAMPLES, DEPTH = 8, 4  # samples of a batch that are compared, and how deep tensors may lie in it
LEAST = 64  # numbers of which a spread is taken


def first_samples(batch: Any) -> int | None:
    """A digest of the first samples of its first tensor of fractions, which augmentation changes; None without one.

    Tokens are left out: that masks over them are drawn anew is meant, in evaluation too.
    """
    found = next((one for one in tensors(batch) if one.device.type == "cpu" and one.ndim > 1), None)
    return None if found is None else hash(found[:SAMPLES].float().contiguous().numpy().tobytes())


def spread(inputs: Any) -> dict[str, Any]:
    """The standard deviation of the first tensor of fractions, over all of its numbers, and the shape of a sample."""
    found = next((one for one in tensors(inputs) if one.ndim > 1 and one.numel() >= LEAST), None)
    if found is None:
        return {}
    return {"spread": float(found.detach().float().std()), "shape": list(found.shape[1:])}


def tensors(thing: Any, depth: int = DEPTH) -> Iterator[Tensor]:
    """The tensors of fractions in a nesting of mappings and sequences."""
    if isinstance(thing, Tensor):
        if thing.is_floating_point() and thing.layout is torch.strided:
            yield thing
        return
    inner: Iterable[Any] = thing.values() if isinstance(thing, Mapping) else thing
    if depth and isinstance(thing, Mapping | list | tuple):
        for one in inner:
            yield from tensors(one, depth - 1)
