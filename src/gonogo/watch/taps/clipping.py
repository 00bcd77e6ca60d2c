"""Gradient clipping: when it happens, and on what."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad

from gonogo.watch.patch import Undo, quietly, replace
from gonogo.watch.tracer import Tracer


def install(tracer: Tracer) -> list[Undo]:
    """See clip_grad_norm_ and clip_grad_value_, under both names that torch gives them."""

    def tapped(name: str) -> list[Undo]:
        def watching(old: Any) -> Any:
            def clip(parameters: Any, limit: Any = None, *given: Any, **named: Any) -> Any:
                if not isinstance(parameters, Tensor):
                    parameters = list(parameters)  # a generator can be gone through once
                if tracer.here:
                    note(tracer, name, parameters, limit)
                limits = () if limit is None else (limit,)
                return old(parameters, *limits, *given, **named)

            return clip

        undo = replace(clip_grad, name, watching)
        public = getattr(torch.nn.utils, name)
        setattr(torch.nn.utils, name, getattr(clip_grad, name))
        return [undo, lambda: setattr(torch.nn.utils, name, public)]

    return [undo for name in ("clip_grad_norm_", "clip_grad_value_") for undo in tapped(name)]


@quietly
def note(tracer: Tracer, name: str, parameters: Any, limit: Any) -> None:
    """Tell whose gradients are clipped, and whether there are any."""
    given = [parameters] if isinstance(parameters, Tensor) else parameters
    owners = {
        id(p): tracer.optimizer(optimizer)
        for _, optimizer in tracer.all_of("optimizer")
        for group in optimizer.param_groups
        for p in group["params"]
    }
    touched = sorted({owners[id(p)] for p in given if id(p) in owners})
    present = any(p.grad is not None for p in given)
    bound = float(limit) if isinstance(limit, int | float | Tensor) else 0.0
    logged = bound > 1e8  # an infinite limit only measures the norm
    facts = {
        "given": len(given),
        "optimizers": touched,
        "present": present,
        "measuring": logged,
        "backwards": tracer.backwards,
    }
    tracer.emit("clip", name=name, **facts)
