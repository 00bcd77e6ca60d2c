"""Where a loss pulls the outputs: towards the targets, or away from them."""

from typing import Any

import torch
from torch import Tensor, nn

from gonogo.audit import fields
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating

LEAST = 16  # elements that must agree: by accident they do so once in 65,000 batches


def pull(session: Session, model: nn.Module, batch: Any) -> float | None:
    """The share of targets that the loss pulls the outputs away from; None if it cannot be told.

    For class labels the gradient at the label's score should be negative, for values of the outputs' own shape that of
    an output above its target positive. Told only where there is one output, one target and some elements.
    """
    output, gradient = _gradient(session, model, batch)
    targets = list(nested.tensors(fields.roles(batch, session.claims).target).values())
    if output is None or gradient is None or len(targets) != 1:
        return None
    target = targets[0]
    if target.is_floating_point():
        return _of_values(output, gradient, target)
    return _of_classes(output, gradient, target) if target.dim() == 1 and output.dim() == 2 else None


def _gradient(session: Session, model: nn.Module, batch: Any) -> tuple[Tensor | None, Tensor | None]:
    calls: list[Any] = []
    handle = model.register_forward_hook(lambda module, inputs, output: calls.append(output))
    try:
        with torch.enable_grad(), evaluating(model), seeding.seeded(session.seed):
            loss = session.loss(nested.clone(batch), model)
    finally:
        handle.remove()
    if len(calls) != 1 or not isinstance(calls[0], Tensor) or not (loss.requires_grad and calls[0].requires_grad):
        return None, None
    return calls[0].detach(), torch.autograd.grad(loss, calls[0], allow_unused=True)[0]


def _of_values(output: Tensor, gradient: Tensor, target: Tensor) -> float | None:
    if output.squeeze().shape != target.squeeze().shape:
        return None
    above = (output.squeeze() - target.squeeze()) * gradient.squeeze()
    return _share(above < 0, above != 0)


def _of_classes(output: Tensor, gradient: Tensor, target: Tensor) -> float | None:
    if len(target) != len(output) or int(target.min()) < 0 or int(target.max()) >= output.shape[1]:
        return None
    if not bool((output < 0).any()):  # distances want to be small at the label
        return None
    at = gradient.gather(1, target.long()[:, None])
    return _share(at > 0, at != 0)


def _share(away: Tensor, counted: Tensor) -> float | None:
    count = int(counted.sum())
    return int((away & counted).sum()) / count if count >= LEAST else None
