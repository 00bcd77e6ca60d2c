"""Warm-up and cosine, right at every edge."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warmup_cosine(optimizer: Optimizer, total: int, warmup: int) -> LambdaLR:
    """A scheduler, to be stepped once per update: linear up over `warmup` updates, then half a cosine down to 0.

    The rate is that of the optimizer after the warm-up, and 0 after `total` updates and beyond; a warm-up as long as
    the run, a run of one update and a run of none are all well defined.
    """
    return LambdaLR(optimizer, lambda step: factor(step, total, warmup))


def factor(step: int, total: int, warmup: int) -> float:
    """The share of the highest rate in update `step` (from 0), in [0, 1]."""
    if step < warmup:
        return (step + 1) / warmup
    if step >= total:
        return 1.0 if warmup >= total > 0 else 0.0  # all of it was warm-up: there is no way down
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
