"""What goes into torch's own loss functions while a subject's loss is computed."""

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating

CLASS_LOSSES = ("cross_entropy", "nll_loss")
VALUE_LOSSES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
BINARY_LOSSES = ("binary_cross_entropy_with_logits", "binary_cross_entropy")
_NAMES = (*CLASS_LOSSES, *VALUE_LOSSES, *BINARY_LOSSES, "kl_div")
_FUNCTIONS = {getattr(nn.functional, name): name for name in _NAMES}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a loss function: its arguments, and what came back (None if it raised)."""

    name: str
    input: Tensor
    target: Tensor
    options: dict[str, Any] = field(default_factory=dict)
    result: Tensor | None = None

    @property
    def classes(self) -> int:
        """The number of classes of a class loss."""
        return self.input.shape[1] if self.input.dim() > 1 else self.input.shape[0]

    def compares(self, other: "Call") -> bool:
        """Does it compare the same numbers with the same targets as another?"""
        pairs = ((self.input, other.input), (self.target, other.target))
        return all(one.shape == two.shape and torch.equal(one, two) for one, two in pairs)

    @property
    def ignore_index(self) -> int:
        """The label that is left out."""
        return int(self.options.get("ignore_index", -100))


class LossCalls(TorchFunctionMode):
    """Collects the calls of loss functions that are made while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = _FUNCTIONS.get(func)
        if name is None:
            return func(*args, **kwargs)
        given = dict(zip(("input", "target"), args, strict=False)) | kwargs
        options = {key: value for key, value in kwargs.items() if key not in ("input", "target")}
        call = Call(name, given["input"], given["target"], options)
        self.calls.append(call)
        result = func(*args, **kwargs)
        self.calls[-1] = Call(name, call.input, call.target, options, result)
        return result


def recorded(
    session: Session, model: nn.Module, batch: Any, seed: int = 0, *, training: bool = False
) -> tuple[list[Call], Tensor | None]:
    """(calls, loss) of a model on a batch, in evaluation mode unless it stays in its own for `training`.

    The loss is None if it raised after its first call.
    """
    calls = LossCalls()
    loss: Tensor | None = None
    mode = nullcontext() if training else evaluating(model)
    with mode, seeding.seeded(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own warnings about shapes are what some checks measure
        try:
            with calls:
                loss = session.loss(nested.clone(batch), model)
        except (RuntimeError, IndexError, ValueError):
            if not calls.calls:
                raise
    return calls.calls, loss


def has_logarithm(tensor: Tensor) -> bool:
    """Does a logarithm lie before the tensor in its graph, or an operation of which that is not known?"""
    seen, waiting = set(), [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        name = node.name()
        known = "Backward" in name.rstrip("0123456789")[-8:] or "AccumulateGrad" in name
        if "Log" in name or "Softplus" in name or not known:
            return True
        waiting += [following for following, _ in node.next_functions]
    return False


def class_scores(call: Call) -> Tensor:
    """Scores with the classes last: (samples, classes)."""
    scores = call.input.detach()
    return scores.movedim(1, -1).reshape(-1, call.classes) if scores.dim() > 1 else scores.reshape(1, -1)


def louder(model: nn.Module, factor: float) -> None:
    """Multiply all weights, in place: scores grow, and what a final softmax or sigmoid bounds stays bounded."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.mul_(factor)
