"""The gradients that a run's optimizers had, given to fresh ones of the same kind, with nothing around them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gonogo.instruments.step.own_steps import OwnSteps, Update


def parts(own: OwnSteps, update: Update) -> list[tuple[nn.Parameter, Tensor]]:
    """(parameter, gradient) of one update."""
    held = own.held(update.optimizer)
    pieces = update.gradient.split([p.numel() for p in held])
    return [(p, piece.view(p.shape)) for p, piece in zip(held, pieces, strict=True)]


def replay(own: OwnSteps, updates: Sequence[Update], *, at_full_rate: bool = False) -> OwnSteps:
    """The run after these updates: its weights, optimizers and learning rates, and none of its own code.

    With `at_full_rate` the rates are those that a schedule starts from or rises to, so that a warm-up is over.
    """
    for update in updates:
        optimizer = own.optimizers[update.optimizer]
        for parameter, gradient in parts(own, update):
            parameter.grad = gradient.to(parameter) if bool(torch.isfinite(gradient).all()) else None
        for group, rate in zip(optimizer.param_groups, update.rates, strict=True):
            peak = max((float(group.get(name) or 0.0) for name in ("initial_lr", "max_lr")), default=0.0)
            group["lr"] = max(rate, peak) if at_full_rate else rate
        _plain_step(optimizer)
    return own


def _plain_step(optimizer: Optimizer) -> None:
    """The optimizer's own arithmetic, without hooks that the run may have put around it."""
    hooks = dict(optimizer._optimizer_step_post_hooks)
    optimizer._optimizer_step_post_hooks.clear()
    try:
        optimizer.step()
    finally:
        optimizer._optimizer_step_post_hooks.update(hooks)
