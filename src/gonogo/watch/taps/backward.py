"""Backward passes: the value that was differentiated, as it is, not as it was logged."""

import weakref
from typing import Any

import torch
from torch import Tensor

from gonogo.watch.patch import Undo, quietly, replace
from gonogo.watch.tracer import Tracer

NEAR = 12  # nodes of the graph, from its end, that are looked at
MEAN = 1  # as torch counts reductions
LOSSES = ("NllLoss", "MseLoss", "BinaryCrossEntropy", "SmoothL1Loss", "HuberLoss")


class _Mark:
    """Lives as long as the node of the graph to which it is attached."""


def install(tracer: Tracer) -> list[Undo]:
    """See every torch.autograd.backward, through which Tensor.backward goes too."""
    marks: list[weakref.ref[_Mark]] = []

    def watching(old: Any) -> Any:
        def backward(tensors: Any, *given: Any, **named: Any) -> Any:
            if tracer.here:
                tracer.backwards += 1
                note(tracer, tensors, marks, given[0] if given else named.get("grad_tensors"))
            answer = old(tensors, *given, **named)
            if tracer.here:
                for act in tracer.on_backward:
                    act()
            return answer

        return backward

    return [replace(torch.autograd, "backward", watching)]


@quietly
def note(tracer: Tracer, tensors: Any, marks: list[weakref.ref[_Mark]], weights: Any = None) -> None:
    """Tell the value, whether it weighs itself, and how many graphs of earlier passes are still alive."""
    roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    loss = roots[0] if len(roots) == 1 and isinstance(roots[0], Tensor) and roots[0].numel() == 1 else None
    facts: dict[str, Any] = {"pass": tracer.reading, "number": tracer.backwards}
    if loss is not None and (tracer.sampled or not loss.is_cuda):  # reading a value makes a GPU wait
        facts["value"] = _plain(float(loss.detach()))
        facts["negated"] = _is_minus_a_loss(loss)
        facts["mean"] = _is_a_mean(loss)
        facts["replaced"] = _replaced(loss)
    if loss is not None and isinstance(weights, Tensor):
        facts["times_itself"] = weights.data_ptr() == loss.data_ptr()  # loss.backward(loss), detached or not
    marks[:] = [mark for mark in marks if mark() is not None]
    facts["graphs"] = len(marks)
    tracer.emit("backward", **facts)
    node = loss.grad_fn if loss is not None else None
    if node is not None and len(marks) < 100:
        mark = _Mark()
        node.metadata["gonogo"] = mark  # type: ignore[index]
        marks.append(weakref.ref(mark))


def _is_minus_a_loss(value: Tensor) -> bool:
    node = value.grad_fn
    inner = node.next_functions[0][0] if node is not None and node.next_functions else None
    return type(node).__name__ == "NegBackward0" and type(inner).__name__.startswith(LOSSES)


def _is_a_mean(value: Tensor) -> bool:
    """Is a mean, that of a loss function or of numbers, the very last operation?"""
    name = type(value.grad_fn).__name__
    return name.startswith("MeanBackward") or (
        name.startswith(LOSSES) and getattr(value.grad_fn, "_saved_reduction", 0) == MEAN
    )


def _replaced(value: Tensor) -> bool:
    """Did nan_to_num put something in the place of a single value, near the end of the graph, that was no number?"""
    nodes = [value.grad_fn]
    for _ in range(NEAR):
        node = nodes.pop(0) if nodes else None
        if type(node).__name__ == "NanToNumBackward0":
            before = node._saved_self  # type: ignore[union-attr]
            if before.numel() == 1 and not bool(before.isfinite()):
                return True
        nodes += [inner for inner, _ in (node.next_functions if node is not None else ())]
    return False


def _plain(value: float) -> float | str:
    """JSON has no nan."""
    return value if value - value == 0 else str(value)
