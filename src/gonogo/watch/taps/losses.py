"""Loss functions: what kind of numbers go in."""

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gonogo.watch.patch import Undo, quietly, tap
from gonogo.watch.tracer import Tracer

CLASSES = {"cross_entropy": 1, "nll_loss": 1, "kl_div": -1, "ctc_loss": -1}  # and the dimension of the classes
BINARY = ("binary_cross_entropy_with_logits", "binary_cross_entropy")
COUNTED = ("cross_entropy", "nll_loss")
PROBABLE = (-0.5, 1.5)  # what may be meant as a probability: smoothed labels of some go a little beyond 0 and 1
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
    "TBackward",
    "Alias",
    "Select",
)
LABELS, MANY = 80, 1000  # batches whose labels are counted, classes that are still counted
TOKENS, HELD = 16, 8  # least tokens that are compared with targets, and tensors of them that are held for one step


def install(tracer: Tracer) -> list[Undo]:
    """See the loss functions of torch, called directly or by their modules."""
    counted, tokens = [0], list[Tensor]()

    def watching(name: str) -> Undo:
        def given(*positional: Any, **named: Any) -> None:
            scores, target = (*positional, *named.values())[:2]  # ctc_loss has names of its own for them
            note(tracer, name, scores, target, counted, tokens)

        return tap(tracer, functional, name, before=given)

    def embedding(input: Any, *_: Any, **__: Any) -> None:
        rows = input.ndim >= 2 and input.shape[-1] > 1  # no class of a sample, which a generator may be given
        if rows and tracer.sampled and torch.is_grad_enabled() and len(tokens) < HELD and input.numel() >= TOKENS:
            tokens.append(input)

    tracer.on_backward.append(tokens.clear)
    tracer.on_step.append(tokens.clear)
    return [
        tap(tracer, functional, "embedding", before=quietly(embedding)),
        *(watching(name) for name in (*CLASSES, *BINARY, *PAIRED)),
    ]


@quietly
def note(tracer: Tracer, name: str, scores: Tensor, target: Tensor, counted: list[int], tokens: list[Tensor]) -> None:
    """Tell what a loss function was given."""
    if name in (*COUNTED, *BINARY) and torch.is_grad_enabled() and counted[0] < LABELS:
        counted[0] += 1
        _count_labels(tracer, target)
    if not torch.is_grad_enabled() and tracer.reading not in (None, tracer.scored):
        tracer.scored = tracer.reading
        tracer.emit("scored", **{"pass": tracer.reading})
    if not tracer.sampled or not isinstance(scores, Tensor) or not isinstance(target, Tensor):
        return
    facts: dict[str, Any] = {"loss": name, "made_by": made_by(scores), "pass": tracer.reading}
    facts["grad"] = scores.requires_grad or target.requires_grad  # the order of the two is often turned round
    with torch.no_grad(), warnings.catch_warnings():
        if name in CLASSES:
            facts |= {"log_of": log_of(scores)} | _classes(scores, CLASSES[name]) | _copied(target, tokens)
        elif name in PAIRED:
            facts |= _pair(scores, target)
        else:
            facts |= {"in_unit": _within(scores, 0, 1), "beyond": not _within(target, *PROBABLE)}
    tracer.emit("loss", **facts)


def _within(values: Tensor, low: float, high: float) -> bool:
    if not values.numel():
        return True
    least, most = torch.aminmax(values.detach().float())
    return bool(least >= low) and bool(most <= high)


def _copied(target: Tensor, tokens: list[Tensor]) -> dict[str, bool]:
    """Are the targets the tokens that were looked up for this very pass, place by place?"""
    flat = target.detach().reshape(-1)
    same = [ids.reshape(-1) for ids in tokens if ids.numel() == flat.numel() and ids.device == flat.device]
    if flat.is_floating_point() or not same:
        return {}
    return {"copied": any(torch.equal(ids, flat) for ids in same) and bool((flat != flat[0]).any())}


def _classes(scores: Tensor, dimension: int) -> dict[str, Any]:
    if scores.ndim < 1 or not scores.is_floating_point() or not scores.numel():
        return {}
    dimension = dimension if scores.ndim > 1 else 0
    rows = scores.detach().movedim(dimension, -1).reshape(-1, scores.shape[dimension])[:ROWS].float()
    sums, logs = rows.sum(1), rows.logsumexp(1)
    near = 1e-3 if scores.dtype in (torch.float32, torch.float64) else 2e-2
    return {
        "classes": rows.shape[1],
        "simplex": bool((rows >= 0).all()) and bool(((sums - 1).abs() < near).all()),
        "log_simplex": bool((logs.abs() < near).all()),
        "normalised": bool((logs.abs() < near).float().mean() > 0.1),  # rows of padding may have been masked since
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
    return type(node).__name__ if (node := _maker(tensor.grad_fn)) is not None else ""


def log_of(tensor: Tensor) -> str:
    """The operation that made the numbers of which these are the log_softmax, if they are one."""
    node = _maker(tensor.grad_fn)
    if node is None or not type(node).__name__.startswith("LogSoftmax"):
        return ""
    inner = _maker(node.next_functions[0][0])
    return type(inner).__name__ if inner is not None else ""


def _maker(node: Any) -> Any:
    for _ in range(6):
        if node is None or not type(node).__name__.startswith(SAME_VALUES) or not node.next_functions:
            break
        node = node.next_functions[0][0]
    return node


def _count_labels(tracer: Tracer, target: Tensor) -> None:
    if target.is_floating_point() and target.shape[1:].numel() == 1 and bool(((target == 0) | (target == 1)).all()):
        target = target.detach().reshape(-1).long()  # yes or no
    if target.ndim != 1 or target.is_floating_point() or target.numel() < 4:
        return
    labels, counts = target.detach().unique(return_counts=True)
    if len(labels) <= MANY:
        pairs = dict(zip(labels.tolist(), counts.tolist(), strict=True))
        tracer.emit("labels", **{"pass": tracer.reading, "counts": pairs})
