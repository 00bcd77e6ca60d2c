"""Which class the loss asks for in each row of the model's answer, where that is a cross-entropy with hard labels."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.audit.fingerprints import fingerprint
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.entry import entry
from gonogo.training.session import Session, evaluating


@dataclass(frozen=True, slots=True)
class Asked:
    """What the loss asks of one batch.

    Attributes:
        inputs: Fingerprint of what the model was called with.
        classes: The class asked for, in the shape of the answer without its axis of classes; -1 where none is.
        axis: The axis of classes in the answer.
    """

    inputs: bytes
    classes: Tensor
    axis: int


def asked(session: Session, model: nn.Module, batch: Any) -> Asked | None:
    """None if the loss calls the model more than once, is another loss, or asks for what is not in the batch."""
    calls: list[tuple[bytes, Tensor]] = []

    def level(module: nn.Module, args: Any, kwargs: Any, result: Any) -> Any:
        if not isinstance(result, Tensor) or not result.is_floating_point() or result.dim() < 2:
            return None
        calls.append((fingerprint([list(args), kwargs]), torch.zeros_like(result).requires_grad_()))
        return calls[-1][1]  # of level scores the gradient is below zero at the wanted class alone

    handle = entry(model).register_forward_hook(level, with_kwargs=True)
    try:
        with torch.inference_mode(False), torch.enable_grad(), evaluating(model), seeding.seeded(session.seed):
            loss = session.loss(nested.clone(batch), model)
            if loss.requires_grad and len(calls) == 1:
                loss.backward()
    finally:
        handle.remove()
        model.zero_grad(set_to_none=True)
    if len(calls) != 1 or calls[0][1].grad is None:
        return None
    found = _classes(calls[0][1].grad)
    return Asked(calls[0][0], *found) if found is not None and is_in(batch, found[0]) else None


WHOLE = "batch"  # the path of an answer that is one tensor, as `nested.tensors` calls it


def points_at(session: Session, model: nn.Module, batch: Any, classes: Tensor) -> frozenset[str]:
    """The parts of the model's answer, each (sample, class), in each row of which the loss asks for this class.

    Seen at level answers. Of an answer that is one tensor the path is WHOLE. Where the loss asks something else of an
    answer, it is no row of class scores: an embedding, say, that a head outside the model's forward reads. None is told
    where it asks so of other rows beside them: of several tasks nobody knows which one a score is about.
    """
    levels: list[tuple[str, Tensor]] = []

    def level(path: str, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or not leaf.is_floating_point() or leaf.dim() != 2:
            return leaf
        levels.append((path, torch.full_like(leaf, 1 / max(leaf.shape[1], 1)).requires_grad_()))
        return levels[-1][1]

    handle = entry(model).register_forward_hook(lambda module, args, result: nested.map_leaves(level, result))
    try:
        with torch.inference_mode(False), torch.enable_grad(), evaluating(model), seeding.seeded(session.seed):
            loss = session.loss(nested.clone(batch), model)
            if loss.requires_grad:
                loss.backward()
    except Exception:  # a loss that refuses these answers or this batch confirms nothing
        return frozenset()
    finally:
        handle.remove()
        model.zero_grad(set_to_none=True)
    asking = [(path, one.grad) for path, one in levels if one.grad is not None and one.shape[1] > 1 and one.grad.any()]
    found = [path for path, gradient in asking if _agree(gradient, classes)]
    return frozenset(found if len(found) == len(asking) else ())


def _agree(gradient: Tensor, classes: Tensor) -> bool:
    wanted = (gradient != 0).any(1)
    fits = len(gradient) == len(classes) and bool(wanted.any())
    return fits and bool((gradient.argmin(1) == classes.to(gradient.device))[wanted].all())


def _classes(gradient: Tensor) -> tuple[Tensor, int] | None:
    """(classes, axis) of the gradient of a cross-entropy at level scores."""
    for axis in dict.fromkeys((gradient.dim() - 1, 1)):
        rows = gradient.movedim(axis, -1)
        wanted = (rows != 0).any(-1)
        single = (rows < 0).sum(-1) == 1
        balanced = rows.sum(-1).abs() <= 1e-3 * rows.abs().sum(-1)
        if bool(wanted.any()) and bool((single & balanced)[wanted].all()):
            return torch.where(wanted, rows.argmin(-1), -1), axis
    return None


def is_in(batch: Any, classes: Tensor) -> bool:
    """Do the classes stand in a field of whole numbers, as they are or some places further on?"""
    held = classes >= 0
    for tensor in nested.tensors(batch).values():
        if tensor.is_floating_point() or tensor.is_complex() or tensor.dim() != classes.dim():
            continue
        last, own = tensor.shape[-1] if tensor.dim() else 0, classes.shape[-1]
        if tensor.shape[:-1] != classes.shape[:-1] and tensor.dim() > 1:
            continue
        for start in range(max(min(last - own + 1, 3), 0)):
            if bool((tensor[..., start : start + own] == classes)[held].all()):
                return True
    return False
