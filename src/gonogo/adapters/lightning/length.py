"""How long a run of Lightning is, from its Trainer's arguments: asking the Trainer itself starts loader workers."""

import math
from typing import Any

from gonogo.adapters.lightning.hooks import is_a

_DEFAULT = 1000  # epochs, where neither they nor steps are given


def epoch_of(trainer: Any, loader: Any) -> int:
    """Batches of an epoch, 0 where a loader does not know; the Trainer is told, for modules that ask it."""
    if trainer.max_epochs is None:
        trainer.fit_loop.max_epochs = _DEFAULT if trainer.max_steps == -1 else -1
    limit = trainer.limit_train_batches
    try:
        count = len(loader)
    except (TypeError, NotImplementedError):
        return 0
    count = min(count, limit) if isinstance(limit, int) else int(count * limit)
    trainer.fit_loop.max_batches = count
    return count


def planned(trainer: Any, batches: int, every: int) -> int | None:
    """Optimizer steps of the whole run; None where that is not known, or a callback or a clock may end it."""
    epochs, steps = trainer.max_epochs, trainer.max_steps
    if any(is_a(one, "EarlyStopping") or is_a(one, "Timer") for one in trainer.callbacks):
        return None
    known = [steps] if steps > 0 else []
    if batches and epochs > 0 and (known or epochs != _DEFAULT):
        known.append(math.ceil(batches / every) * epochs)
    return min(known, default=None)
