"""Where attention is called: kernels of torch, also in nn.MultiheadAttention, and softmax that is written out."""

import functools
import re
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from gonogo.instruments.attention.weights import AttentionMap, Content, as_map, in_four, off_one, recomputed

_PRODUCTS = ("matmul", "bmm", "__matmul__", "__rmatmul__", "baddbmm")
# What scores and weights may pass through on their way without becoming something else.
_SAME = ("view", "reshape", "contiguous", "dropout", "to", "type", "type_as", "float", "half", "bfloat16", "unsqueeze")
_SAME += ("squeeze", "flatten", "unflatten", "expand", "clone", "masked_fill", "masked_fill_", "where", "nan_to_num")
_SAME += ("__getitem__", "cat")  # a column of its own takes what is left over (sinks), and is cut off again
# Of these, what may change weights.
_CHANGING = ("dropout", "masked_fill", "masked_fill_", "where", "nan_to_num", "__getitem__", "cat")
# Weights that are turned round are meant to be summed over something else.
_TURNED = ("transpose", "permute", "swapaxes", "movedim")
_SCALED = ("mul", "div", "truediv", "add", "sub", "__mul__", "__truediv__", "__add__", "__sub__", "__rmul__")
_SCALED += ("__radd__", "mul_", "div_", "add_", "__imul__", "__itruediv__", "__iadd__", "clamp", "tanh")
_IN_PLACE = re.compile(r"__setitem__|__i(add|sub|mul|truediv|and|or)__|[a-z].*_$")
_HIDDEN = re.compile(r"attention|attn", re.IGNORECASE)
_SOFTMAX = ("softmax", "_softmax")
_FOLLOWED = frozenset((*_PRODUCTS, *_SOFTMAX, *_SAME, *_TURNED, *_SCALED, "einsum"))


class Sink(Protocol):
    """Where maps go, and the names of calls whose weights could not be seen."""

    unseen: Counter[str]

    def add(self, found: AttentionMap) -> None: ...


class Named(Protocol):
    """Who is calling."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class Mark:
    """What is known of a tensor: scores, or the weights made of them."""

    kind: str
    pair: tuple[Tensor, Tensor] | None  # queries [.., q, d] and keys [.., d, k] that made the scores
    scores: Tensor | None = None  # that went into the softmax
    size: int = 0  # of the axis of the softmax
    changed: bool = False


class Follow(TorchFunctionMode):
    """Marks products of activations as scores, softmax of scores as weights, and looks where weights are multiplied."""

    def __init__(self, sink: Sink, callers: Named, budget: int, content: bool) -> None:
        super().__init__()
        self.sink, self.callers, self.budget, self.content = sink, callers, budget, content
        self.marks: dict[int, tuple[weakref.ref[Tensor], Mark]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.multi_head_attention_forward:
            with _Inside(self, int(kwargs.get("num_heads", args[4] if len(args) > 4 else 1))):
                return func(*args, **kwargs)
        out = func(*args, **kwargs)
        # What is looked at must never stop what is watched.
        try:
            self._look(func, getattr(func, "__name__", ""), args, kwargs, out)
        except Exception as error:
            self.hidden(f"{getattr(func, '__name__', func)}: {type(error).__name__}")
        return out

    def hidden(self, name: str) -> None:
        """Count a call whose weights cannot be seen."""
        self.sink.unseen[name] += 1

    def kernel(self, kind: str, query: Any, key: Any, mask: Any, causal: bool, scale: float | None) -> None:
        """Note a fused kernel by what it was given."""
        if not all(is_plain(part) for part in (query, key, mask) if part is not None):
            self.hidden(kind)
            return
        with torch.no_grad():
            where = self.callers.name
            found = recomputed(query, key, mask, causal, scale, where=where, kind=kind, budget=self.budget)
            self.sink.add(self._with_content(found, (query, key.transpose(-1, -2))))

    def softmax(self, kind: str, weights: Tensor, mark: Mark, *, keys: int = -1) -> None:
        """Note weights that were seen, the keys along an axis of choice."""
        if not is_plain(weights):
            self.hidden(kind)
            return
        with torch.no_grad():
            weights = weights.detach()
            scores = mark.scores
            if scores is not None:
                same = scores.numel() == weights.numel()
                scores = scores.reshape(weights.shape).movedim(keys, -1) if same else None
            weights = weights.movedim(keys, -1)
            found = as_map(self.callers.name, kind, weights, scores, budget=self.budget)
            if kind == "softmax":  # of torch's own modules the axis is right by construction
                off = [off_one(weights.sum(axis, dtype=torch.float64)) for axis in range(weights.dim())]
                found = replace(found, over_keys=max(off[-1], found.over_keys), elsewhere=min(off[:-1]))
            # Joint softmax over several axes, taken apart again: no single axis adds up, and none has to.
            found = replace(found, changed=mark.changed or mark.size != weights.shape[-1])
            self.sink.add(self._with_content(found, mark.pair))

    def _with_content(self, found: AttentionMap, pair: tuple[Tensor, Tensor] | None) -> AttentionMap:
        if pair is None or not self.content:
            return found
        query, key = in_four(pair[0].detach()), in_four(pair[1].detach()).transpose(-1, -2)
        if query.shape[2] != found.shape[2] or key.shape[2] != found.shape[3]:
            return found
        kept = found.weights.shape[0]
        rows, keys = (part[:kept].transpose(1, 2).flatten(2).clone() for part in (query, key))
        return replace(found, content=Content(rows[:, found.rows.to(rows.device)], keys))

    def _look(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        if func is functional.scaled_dot_product_attention:
            names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale")
            given = dict(zip(names, args, strict=False)) | kwargs
            mask, causal = given.get("attn_mask"), bool(given.get("is_causal", False))
            self.kernel(name, given["query"], given["key"], mask, causal, given.get("scale"))
        elif _is_hidden(name):
            self.hidden(name)
        elif name in _PRODUCTS or name == "einsum" or (self.marks and (name in _FOLLOWED or _IN_PLACE.fullmatch(name))):
            self._follow(name, args, kwargs, out)

    def _follow(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        given = args[0] if name == "cat" and args else (*args, *kwargs.values())
        operands = [a for a in given if isinstance(a, Tensor)]
        marks = [self.mark_of(a) for a in operands]
        if name in _PRODUCTS and len(operands) >= 2:
            self._product(operands, marks, out)
        elif name == "einsum":
            self._einsum(args, marks, out)
        elif name in _SOFTMAX and marks and marks[0] is not None and marks[0].kind == "scores":
            axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
            size = out.shape[axis] if isinstance(axis, int) else 0
            self.mark(out, Mark("weights", marks[0].pair, operands[0], size))
        elif any(marks):
            self._passed(name, operands, marks, out)

    def _passed(self, name: str, operands: list[Tensor], marks: list[Mark | None], out: Any) -> None:
        at, mark = next((place, found) for place, found in enumerate(marks) if found)
        if mark.kind == "scores":
            if name in _TURNED:
                self.mark(out, replace(mark, pair=None))
            elif name in _SCALED or name in _SAME:
                self.mark(out, mark)
        elif name in _SAME:
            self.mark(out, replace(mark, changed=mark.changed or _changes(name, operands[at], out)))
        elif _IN_PLACE.fullmatch(name) and at == 0:
            self.marks.pop(id(operands[0]), None)

    def _product(self, operands: list[Tensor], marks: list[Mark | None], out: Any) -> None:
        left, right = operands[-2:]
        mark = marks[-2]
        if mark is not None and mark.kind == "weights" and left.dim() >= 3:
            self.softmax("softmax", left, mark)
        elif left.dim() >= 3 and right.dim() >= 3 and not any(isinstance(a, nn.Parameter) for a in (left, right)):
            self.mark(out, Mark("scores", (left, right) if self.content else None))

    def _einsum(self, args: tuple[Any, ...], marks: list[Mark | None], out: Any) -> None:
        equation = next((a for a in args if isinstance(a, str)), "")
        operands = [a for a in args if isinstance(a, Tensor)]
        if len(operands) != 2:
            return
        terms, _, result = equation.replace(" ", "").partition("->")
        for tensor, mark, axes in zip(operands, marks, terms.split(","), strict=False):
            summed = [axis for axis, name in enumerate(axes) if name not in result]
            if mark is not None and mark.kind == "weights" and len(summed) == 1 and "." not in equation:
                self.softmax("softmax", tensor, mark, keys=summed[0])
                return
        if all(tensor.dim() >= 3 for tensor in operands):
            self.mark(out, Mark("scores", None))

    def mark(self, tensor: Any, mark: Mark) -> None:
        """Remember what a tensor is, for as long as it lives."""
        if isinstance(tensor, Tensor):
            key = id(tensor)
            self.marks[key] = (weakref.ref(tensor, lambda _: self.marks.pop(key, None)), mark)

    def mark_of(self, tensor: Tensor) -> Mark | None:
        """What is known of a tensor."""
        ref, mark = self.marks.get(id(tensor), (None, None))
        return mark if ref is not None and ref() is tensor else None


class _Inside(TorchDispatchMode):
    """Watches the kernels that nn.MultiheadAttention ends in; its own Python is one call to a function mode."""

    def __init__(self, follow: Follow, heads: int) -> None:
        super().__init__()
        self.follow, self.heads = follow, heads
        self.pair: tuple[Tensor, Tensor] | None = None
        self.seen = False

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        super().__exit__(kind, error, trace)
        if not self.seen and kind is None:
            self.follow.hidden("MultiheadAttention")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        try:
            self._look(func, args, kwargs, out)
        except Exception as error:
            self.follow.hidden(f"MultiheadAttention: {type(error).__name__}")
        return out

    def _look(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        name = func._schema.name.removeprefix("aten::")
        if name in ("bmm", "baddbmm"):
            self.pair = tuple(args[-2:])
        elif name in ("_softmax", "_safe_softmax") and not self.seen:
            self.seen = True
            weights, scores, *pair = (
                part if part.dim() == 4 else part.unflatten(0, (-1, self.heads))
                for part in (out, args[0], *(self.pair or ()))
            )
            mark = Mark("weights", (pair[0], pair[1]) if pair else None, scores, weights.shape[-1])
            self.follow.softmax("MultiheadAttention", weights, mark)
        elif "scaled_dot_product" in name and not self.seen:
            self.seen = True
            given = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
            mask = given.get("attn_mask", given.get("attn_bias"))
            causal, scale = bool(given.get("is_causal", False)), given.get("scale")
            self.follow.kernel("MultiheadAttention", given["query"], given["key"], mask, causal, scale)


@functools.cache
def _is_hidden(name: str) -> bool:
    return bool(_HIDDEN.search(name))


def is_plain(tensor: Any) -> bool:
    """Can the tensor be read: dense, real memory, no wrapper of functorch and no subclass with a mind of its own?"""
    readable = isinstance(tensor, Tensor) and type(tensor) in (Tensor, nn.Parameter, nn.Buffer)
    if not readable or tensor.is_nested or tensor.is_meta or tensor.layout is not torch.strided:
        return False
    functorch: Any = getattr(torch._C, "_functorch")  # noqa: B009 - has no stub
    return not functorch.is_functorch_wrapped_tensor(tensor)


def _changes(name: str, before: Tensor, after: Any) -> bool:
    """Do weights differ after a call that may leave them alone?"""
    if name not in _CHANGING or (after is before and not name.endswith("_")):
        return False
    return after is before or after.shape != before.shape or not torch.equal(after, before)
