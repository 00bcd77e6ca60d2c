"""Loss functions: what kind of numbers go in."""

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gonogo.watch.patch import Undo, quietly, tap
from gonogo.watch.tracer import Tracer

CLASSES = ("cross_entropy", "nll_loss")
BINARY = ("binary_cross_entropy_with_logits",)
PAIRED = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
ROWS = 256  # rows that are looked at
SAME_VALUES = (
    "View",
    "Reshape",
    "Unsafe",
    "Squeeze",
    "Unsqueeze",
    "Clone",
    "ToCopy",
    "Transpose",
    "Permute",
    "T",
    "Alias",
    "Select",
)
LABELS, MANY = 80, 1000  # batches whose labels are counted, classes that are still counted


def install(tracer: Tracer) -> list[Undo]:
    """See the loss functions of torch, called directly or by their modules."""
    counted = [0]

    def watching(name: str) -> Undo:
        def given(input: Any, target: Any, *_: Any, **__: Any) -> None:
            note(tracer, name, input, target, counted)

        return tap(tracer, functional, name, before=given)

    return [watching(name) for name in (*CLASSES, *BINARY, *PAIRED)]


@quietly
def note(tracer: Tracer, name: str, scores: Tensor, target: Tensor, counted: list[int]) -> None:
    """Tell what a loss function was given."""
    if name == "cross_entropy" and torch.is_grad_enabled() and counted[0] < LABELS:
        counted[0] += 1
        _count_labels(tracer, target)
    if not tracer.sampled or not isinstance(scores, Tensor) or not isinstance(target, Tensor):
        return
    facts: dict[str, Any] = {"loss": name, "grad": scores.requires_grad, "made_by": made_by(scores)}
    with torch.no_grad(), warnings.catch_warnings():
        if name in CLASSES:
            facts |= _classes(scores)
        elif name in PAIRED:
            facts |= _pair(scores, target)
        else:
            low, high = torch.aminmax(scores.detach().float())
            facts |= {"in_unit": bool(low >= 0) and bool(high <= 1), "numbers": scores.numel()}
    tracer.emit("loss", **facts)


def _classes(scores: Tensor) -> dict[str, Any]:
    if scores.ndim < 1 or not scores.is_floating_point() or not scores.numel():
        return {}
    dimension = 1 if scores.ndim > 1 else 0
    rows = scores.detach().movedim(dimension, -1).reshape(-1, scores.shape[dimension])[:ROWS].float()
    sums, logs = rows.sum(1), rows.logsumexp(1)
    near = 1e-3 if scores.dtype in (torch.float32, torch.float64) else 2e-2
    return {
        "classes": rows.shape[1],
        "simplex": bool((rows >= 0).all()) and bool(((sums - 1).abs() < near).all()),
        "log_simplex": bool((logs.abs() < near).all()),
        "positive": bool((rows > near).any()),
    }


def _pair(scores: Tensor, target: Tensor) -> dict[str, Any]:
    try:
        numel = torch.broadcast_shapes(scores.shape, target.shape).numel()
    except RuntimeError:
        return {}
    grown = numel > max(scores.numel(), target.numel())  # with equal ranks, (n, 1, d) and (1, n, d), it is meant
    return {"shapes": [list(scores.shape), list(target.shape)], "grown": grown and scores.ndim != target.ndim}


def made_by(tensor: Tensor) -> str:
    """The operation that made the numbers, whatever reshaped them since."""
    node = tensor.grad_fn
    for _ in range(6):
        if node is None or not type(node).__name__.startswith(SAME_VALUES) or not node.next_functions:
            break
        node = node.next_functions[0][0]
    return type(node).__name__ if node is not None else ""


def _count_labels(tracer: Tracer, target: Tensor) -> None:
    if target.ndim != 1 or target.is_floating_point() or target.numel() < 4:
        return
    labels, counts = target.detach().unique(return_counts=True)
    if len(labels) <= MANY:
        pairs = dict(zip(labels.tolist(), counts.tolist(), strict=True))
        tracer.emit("labels", **{"pass": tracer.reading, "counts": pairs})
