"""One layer of fusion, alone: what its output tokens of one stream owe to its input tokens of another.

Legend of shapes: b samples, n tokens.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.errors import NotApplicable, SubjectError, did_you_mean
from gonogo.instruments.attention.between_streams import MIXED, OTHER, Owners, owners
from gonogo.instruments.memo import instrument
from gonogo.instruments.streams.fields import streams
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating


@dataclass(frozen=True)
class Call:
    """One call of a module, to be repeated."""

    name: str
    module: nn.Module
    inputs: Any  # {"args": ..., "kwargs": ...}


@dataclass(frozen=True)
class Crossing:
    """How far the tokens of one stream depend on those of another within one call.

    Attributes:
        where: Dotted name of the module.
        reader: Stream of the output tokens.
        read: Stream of the input tokens.
        jacobian: Norm of the gradient of a random projection (of unit length) of the former to the latter.
    """

    where: str
    reader: str
    read: str
    jacobian: float


@dataclass(frozen=True)
class Layer:
    """What was found of the layer.

    Attributes:
        crossings: For each call and each pair of streams that has tokens in it.
        calls: Number of calls.
        located: Does any input hold tokens of one stream alone?
        free: Input tokens of a sample that belong to no stream.
    """

    crossings: tuple[Crossing, ...]
    calls: int
    located: bool
    free: int


@instrument
def fusion_layer(session: Session, name: str) -> Layer:
    """The Jacobian blocks between streams of the outermost modules that are called under a name, in float64.

    Tokens of a stream are those that change, bit for bit, with its content alone.

    Raises:
        SubjectError: No module has that name.
        NotApplicable: There are fewer than two streams, they have met before, or nothing is called.
    """
    known = streams(session)
    if len(known) < 2:
        raise NotApplicable("fewer than two streams of Claims(modalities=...) are in the batch")
    try:
        return _layer(session, name, known, torch.float64)
    except (RuntimeError, TypeError):  # the model insists on a precision of its own
        return _layer(session, name, known, None)


def _layer(session: Session, name: str, known: Any, dtype: torch.dtype | None) -> Layer:
    model = session.copy_model(dtype)
    _refuse_unknown(model, name)
    [batch] = session.batches("train", limit=1)
    batch = nested.to(batch, dtype=dtype)
    base = _calls(session, model, name, batch)
    others = {
        one.name: _calls(session, model, name, one.with_other(batch, one.there(batch), session.seed)) for one in known
    }
    if not base:
        raise NotApplicable(f"nothing under {name!r} is called; name a module with a forward, or what holds some")
    if any([call.name for call in calls] != [call.name for call in base] for calls in others.values()):
        raise NotApplicable(f"what is called under {name!r} depends on the content")
    found, owned = [], []
    for index, call in enumerate(base):
        located = _located(call, {stream: calls[index] for stream, calls in others.items()})
        if index == 0 and any(bool(one[MIXED].any()) for one in located.values()):
            raise NotApplicable(f"streams have met before {name!r}; name the first layer in which they do")
        owned += located.values()
        with torch.enable_grad(), evaluating(model), seeding.seeded(session.seed):
            found += _crossings(call, located, tuple(others))
    free = sum(int(one[OTHER].sum(1).max()) for one in owned)
    return Layer(tuple(found), len(base), any(bool(one[name].any()) for one in owned for name in others), free)


def _refuse_unknown(model: nn.Module, name: str) -> None:
    names = [path for path, _ in model.named_modules()]
    if name not in names:
        raise SubjectError(f"Claims(bottleneck={name!r}): the model has no such module.{did_you_mean(name, names)}")


def _calls(session: Session, model: nn.Module, name: str, batch: Any) -> list[Call]:
    found: list[Call] = []
    with torch.no_grad(), evaluating(model), seeding.seeded(session.seed), _recording(model, name, found):
        session.loss(nested.clone(batch), model)
    return found


@contextmanager
def _recording(model: nn.Module, name: str, into: list[Call]) -> Iterator[None]:
    depth: list[str] = []

    def enter(path: str) -> Callable[..., None]:
        def note(module: nn.Module, args: Any, kwargs: Any) -> None:
            if not depth:
                into.append(Call(path, module, nested.clone({"args": list(args), "kwargs": dict(kwargs)})))
            depth.append(path)

        return note

    handles: list[Any] = []
    for path, module in model.named_modules():
        if path == name or path.startswith(f"{name}."):
            handles.append(module.register_forward_pre_hook(enter(path), with_kwargs=True))
            handles.append(module.register_forward_hook(lambda *_: depth and depth.pop() and None, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _located(call: Call, others: Mapping[str, Call]) -> dict[str, Owners]:
    """The owners of the tokens in each floating-point input [b, n, d] of a call."""
    fields = {path: leaf for path, leaf in nested.tensors(call.inputs).items() if _holds_tokens(leaf)}
    changed = {stream: nested.tensors(other.inputs) for stream, other in others.items()}
    found: dict[str, Owners] = {}
    for path, leaf in fields.items():
        rows = {stream: one[path] for stream, one in changed.items() if path in one and one[path].shape == leaf.shape}
        if len(rows) == len(changed):
            found[path] = owners(leaf, rows)
    return found


def _holds_tokens(leaf: Tensor) -> bool:
    return leaf.is_floating_point() and leaf.dim() >= 3


def _crossings(call: Call, located: Mapping[str, Owners], names: tuple[str, ...]) -> Iterator[Crossing]:
    held = {path: leaf for path, leaf in nested.tensors(call.inputs).items() if path in located}
    leaves = {path: leaf.detach().clone().requires_grad_() for path, leaf in held.items()}
    given = nested.map_leaves(lambda path, leaf: leaves.get(path, leaf), call.inputs)
    answers = [leaf for _, leaf in nested.walk(call.module(*given["args"], **given["kwargs"]))]
    partners = _partners(leaves, [one for one in answers if isinstance(one, Tensor)])
    for reader in names:
        for read in names:
            if read == reader or not any(bool(one[read].any()) for one in located.values()):
                continue
            projections = [_projected(out, located[path][reader]) for path, out in partners.items()]
            kept = [one for one in projections if one is not None]
            if kept:
                yield Crossing(call.name, reader, read, _gradient(sum(kept), leaves, located, read))


def _partners(leaves: Mapping[str, Tensor], outputs: list[Tensor]) -> dict[str, Tensor]:
    """The output that each input becomes: the first of its shape that no other input has taken."""
    free, found = list(outputs), {}
    for path, leaf in leaves.items():
        place = next((index for index, out in enumerate(free) if out.shape == leaf.shape), None)
        if place is not None:
            found[path] = free.pop(place)
    return found


def _projected(output: Tensor, tokens: Tensor) -> Tensor | None:
    chosen = output[tokens]
    if not chosen.numel() or not chosen.requires_grad:
        return None
    direction = torch.randn_like(chosen)
    return (chosen * direction / direction.norm()).sum()


def _gradient(total: Any, leaves: Mapping[str, Tensor], located: Mapping[str, Owners], read: str) -> float:
    gradients = torch.autograd.grad(total, list(leaves.values()), retain_graph=True, allow_unused=True)
    parts = [
        gradient[located[path][read]].norm()
        for path, gradient in zip(leaves, gradients, strict=True)
        if gradient is not None
    ]
    return float(torch.stack(parts).norm()) if parts else 0.0
