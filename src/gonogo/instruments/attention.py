"""Attention as it is called: every softmax of scores, followed to the product with the values."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gonogo.instruments.memo import instrument
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating

_PRODUCTS = ("matmul", "bmm", "__matmul__", "__rmatmul__", "baddbmm")
# What scores and weights may pass through on their way without becoming something else.
_SAME = ("view", "reshape", "contiguous", "dropout", "to", "type", "type_as", "float", "half", "bfloat16", "unsqueeze")
_SAME += ("squeeze", "flatten", "unflatten", "expand", "clone", "masked_fill", "masked_fill_", "where")
# Weights that are turned round are meant to be summed over something else.
_TURNED = ("transpose", "permute", "swapaxes", "movedim")
_SCALED = (
    "mul",
    "div",
    "truediv",
    "add",
    "sub",
    "__mul__",
    "__truediv__",
    "__add__",
    "__sub__",
    "__rmul__",
    "__radd__",
)
_SCALED += ("mul_", "div_", "add_", "__imul__", "__itruediv__", "__iadd__", "clamp", "tanh")


@dataclass(frozen=True)
class Weights:
    """One product of attention weights with values.

    Attributes:
        shape: Of the weights; the axis that the product sums over (the keys) is the last.
        over_keys: Largest distance of a sum over the keys from 1; rows without anything to attend to are left out.
        elsewhere: The same for the best of the other axes.
    """

    shape: tuple[int, ...]
    over_keys: float
    elsewhere: float


class _Follow(TorchFunctionMode):
    """Marks products of activations as scores, softmax of scores as weights, and looks where weights are multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: dict[int, tuple[weakref.ref[Tensor], str]] = {}
        self.found: list[Weights] = []

    def mark(self, tensor: Any, kind: str) -> None:
        if isinstance(tensor, Tensor):
            self.marks[id(tensor)] = (weakref.ref(tensor), kind)

    def kind(self, tensor: Any) -> str:
        ref, kind = self.marks.get(id(tensor), (None, ""))
        return kind if ref is not None and ref() is tensor else ""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        operands = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)]
        kinds = [self.kind(a) for a in operands]
        out = func(*args, **kwargs)
        if name in _PRODUCTS and len(operands) >= 2:
            self._product(operands, kinds, out)
        elif name in ("softmax", "_softmax") and "scores" in kinds[:1]:
            self.mark(out, "weights")
        elif name == "einsum" and len(operands) == 2:
            self._einsum(next((a for a in args if isinstance(a, str)), ""), operands, kinds, out)
        elif name in _TURNED and "scores" in kinds:
            self.mark(out, "scores")
        elif name in _SAME and any(kinds):
            self.mark(out, next(kind for kind in kinds if kind))
        elif name in _SCALED and "scores" in kinds:
            self.mark(out, "scores")
        return out

    def _product(self, operands: list[Tensor], kinds: list[str], out: Any) -> None:
        left, right = operands[-2:]
        if kinds[-2] == "weights" and left.dim() >= 3:
            self.found.append(_weights(left, left.dim() - 1))
        elif left.dim() >= 3 and right.dim() >= 3 and not any(isinstance(a, nn.Parameter) for a in (left, right)):
            self.mark(out, "scores")

    def _einsum(self, equation: str, operands: list[Tensor], kinds: list[str], out: Any) -> None:
        terms, _, result = equation.replace(" ", "").partition("->")
        names = terms.split(",")
        for tensor, kind, axes in zip(operands, kinds, names, strict=False):
            summed = [axis for axis, name in enumerate(axes) if name not in result]
            if kind == "weights" and len(summed) == 1 and "." not in equation:
                self.found.append(_weights(tensor, summed[0]))
                return
        if all(tensor.dim() >= 3 for tensor in operands):
            self.mark(out, "scores")


def _weights(weights: Tensor, keys: int) -> Weights:
    sums = [_off(weights.detach().double().sum(axis)) for axis in range(weights.dim())]
    shape = (*(size for axis, size in enumerate(weights.shape) if axis != keys), weights.shape[keys])
    return Weights(shape, sums[keys], min(off for axis, off in enumerate(sums) if axis != keys))


def _off(sums: Tensor) -> float:
    filled = sums[(sums.abs() > 1e-6) & torch.isfinite(sums)]
    return float((filled - 1).abs().max()) if filled.numel() else 0.0


@instrument
def attention_weights(session: Session) -> tuple[Weights, ...]:
    """Every product of attention weights with values while the loss of one batch runs in evaluation mode."""
    [batch] = session.batches("train", limit=1)
    follow = _Follow()
    with torch.no_grad(), evaluating(session.copy_model()) as model, seeding.seeded(session.seed), follow:
        session.loss(nested.clone(batch), model)
    return tuple(follow.found)
