"""Are held-out samples farther from every training sample than two readings of one training sample are apart?

What random transforms do to a sample shows in two readings of it. A held-out sample that is trained on lies that near.
"""

import time
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from gonogo.audit import fields, samples
from gonogo.audit.samples import Samples
from gonogo.training import batch as batches
from gonogo.training.claims import Claims

_MOST = 2048  # samples of train; a part of them would leave the question open
_WIDEST = 4096  # numbers of a sample
_CLEAR = 1.05


def apart(train: Samples, held: Samples, claims: Claims, *, seed: int, seconds: float) -> bool:
    """True if it is so in one of two views: the numbers in place, and sorted, which flips and shifts leave alone."""
    if train.count is None or held.count is None or not 8 <= train.count <= _MOST or not 0 < held.count <= _MOST:
        return False
    end = time.monotonic() + seconds
    known = [_rows(train, claims, seed + 1, end), _rows(train, claims, seed + 2, end), _rows(held, claims, seed, end)]
    one, two, other = known
    if one is None or two is None or other is None or one.shape != two.shape or one.shape[1] != other.shape[1]:
        return False
    views: list[Callable[[Tensor], Tensor]] = [lambda rows: rows, lambda rows: rows.sort(1).values]
    return any(_is_clear(view(one), view(two), view(other)) for view in views)


def _is_clear(one: Float[Tensor, "n d"], two: Float[Tensor, "n d"], other: Float[Tensor, "m d"]) -> bool:
    nearest = min(float(torch.cdist(other, rows).min()) for rows in (one, two))
    return nearest > _CLEAR * float((one - two).norm(dim=1).max()) + 1e-9


def _rows(source: Samples, claims: Claims, seed: int, end: float) -> Float[Tensor, "n d"] | None:
    """The numbers of the input of each sample; None where they are not all of one length, or time is over."""
    assert source.count is not None
    found: list[Tensor] = []
    for start in range(0, source.count, 64):
        some = list(range(start, min(start + 64, source.count)))
        for sample in samples.again(source, some, seed + start):
            given = None if sample is samples.UNREADABLE else fields.roles(sample, claims).input
            parts = [t.detach().cpu().double().flatten() for t in batches.tensors(given).values()]
            found.append(torch.cat(parts) if parts else torch.empty(0))
            if time.monotonic() > end or not 0 < len(found[-1]) <= _WIDEST or len(found[-1]) != len(found[0]):
                return None
    return torch.stack(found).nan_to_num()
