"""What padding does: the same row with and without it, other content in it, and the loss at it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gonogo.errors import NotApplicable
from gonogo.instruments.answers.recorded_call import wake
from gonogo.instruments.sequence.isolation import relative
from gonogo.instruments.sequence.padding import Padded
from gonogo.instruments.sequence.supervision import supervised, token_views
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating

FLOAT32_FLOOR = 1e-4  # other shapes, other kernels: below it a change in float32 is rounding
ATTENTION = ("softmax", "scaled_dot_product_attention", "multi_head_attention_forward", "_native_multi_head_attention")


@dataclass(frozen=True)
class Change:
    """What cutting padding off one field does to one output and to the loss, relative; exact in float64."""

    path: str
    output: str
    outputs: float
    loss: float
    exact: bool


class _Watch(TorchFunctionMode):
    """Notes attention, and moves the embeddings of padding where asked to."""

    def __init__(self, tokens: Tensor | None = None, pad: Tensor | None = None) -> None:
        super().__init__()
        self.tokens, self.pad, self.attention, self.moved, self.convolved = tokens, pad, False, False, False

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        self.attention |= name in ATTENTION
        self.convolved |= name in ("conv1d", "conv2d") and (len(args) < 2 or max(args[1].shape[2:]) > 1)
        out = func(*args, **(kwargs or {}))
        if name == "embedding" and self.tokens is not None and self.pad is not None:
            index = next((a for a in args if isinstance(a, Tensor) and not a.is_floating_point()), None)
            if index is not None and index.shape == self.tokens.shape and torch.equal(index, self.tokens.to(index)):
                self.moved = True
                noise = torch.randn(out.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
                return torch.where(self.pad.unsqueeze(-1), out + noise.to(out), out)
        return out


def mixes(session: Session) -> bool:
    """Does the model attend, convolve or recur, so that positions are meant to see each other?"""
    if any(isinstance(module, nn.RNNBase | nn.Conv1d) for module in session.model.modules()):
        return True
    [batch] = session.batches("train", limit=1)
    with _Watch() as watch:
        _answer(session, batch, None)
    return watch.attention


def changes(session: Session, one: Padded) -> list[Change]:
    """The change of every output of a row, and of the loss, when its padding is cut off; empty if that fails."""
    whole, cut = one.repeated(), one.trimmed()
    try:
        return _changes(session, one, whole, cut, torch.float64)
    except (RuntimeError, TypeError, ValueError, IndexError):
        pass
    try:  # the model insists on a precision of its own, or on this length
        return _changes(session, one, whole, cut, None)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return []


def _changes(session: Session, one: Padded, whole: Any, cut: Any, dtype: torch.dtype | None) -> list[Change]:
    floor = 0.0 if dtype is torch.float64 else FLOAT32_FLOOR
    (first, loss), (second, other) = (_answer(session, batch, dtype) for batch in (whole, cut))
    moved = abs(loss - other) / max(abs(loss), 1e-12)
    found = [Change(one.path, "", 0.0, moved if moved > floor else 0.0, not floor)]
    for path in first.keys() & second.keys():
        before = _real(first[path], second[path], one)
        if before is not None:
            change = float(relative(before, second[path].reshape(before.shape)).max())
            found.append(Change(one.path, path, change if change > floor else 0.0, 0.0, not floor))
    return found


def _answer(session: Session, batch: Any, dtype: torch.dtype | None) -> tuple[dict[str, Tensor], float]:
    model = session.copy_model(dtype)
    wake(model, session.seed)
    with torch.no_grad(), evaluating(model), seeding.seeded(session.seed):
        outputs = session.outputs(nested.to(nested.clone(batch), dtype=dtype), model)
        return outputs, float(session.loss(nested.to(nested.clone(batch), dtype=dtype), model))


def _real(whole: Tensor, cut: Tensor, one: Padded) -> Tensor | None:
    """The part of a whole output that the cut one has, or None if they do not fit."""
    for axis in range(whole.dim()):
        if whole.dim() == cut.dim() and whole.shape[axis] != cut.shape[axis]:
            lost = one.mask.shape[1] - whole.shape[axis]  # an output may be one shorter than its input
            whole = whole.narrow(axis, one.start, one.stop - one.start - max(lost, 0))
    if whole.shape != cut.shape or not whole.dim():
        return None
    return whole if whole.dim() > 1 else whole.unsqueeze(1)


def attended(session: Session, one: Padded) -> float | None:
    """The change of real outputs when what stands in padding changes; None where that cannot be told.

    Of tokens the embedding is moved; features get noise, and only where the model is told what is padding.
    """
    layers = (nn.Conv1d, nn.Conv2d) if one.token is not None else (nn.Conv1d, nn.Conv2d, nn.RNNBase)
    found = [module for module in session.copy_model().modules() if isinstance(module, layers)]
    if any(max(getattr(module, "kernel_size", (2,))) > 1 for module in found):
        return None
    if one.token is None and not (one.empty and _told(session, one)):
        return None
    for dtype in (torch.float64, None) if one.token is not None else (torch.float64,):
        try:
            return _attended(session, one, dtype)
        except (RuntimeError, TypeError):
            continue
    return None


def _told(session: Session, one: Padded) -> bool:
    """Do answers change with what marks the padding?"""

    def other(path: str, leaf: Any) -> Any:
        if path not in one.markers or not isinstance(leaf, Tensor):
            return leaf
        return (leaf == 0).to(leaf.dtype) if leaf.dim() == 2 else (leaf - 1).clamp(min=1)

    try:
        before, after = (
            _answer(session, batch, torch.float64)[0] for batch in (one.batch, nested.map_leaves(other, one.batch))
        )
    except Exception:  # what refuses another mask may have been told, but it is not known
        return False
    return any(before[path].shape != after[path].shape or not _same(before[path], after[path]) for path in before)


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.nan_to_num(), other.nan_to_num())


def _attended(session: Session, one: Padded, dtype: torch.dtype | None) -> float | None:
    stream, pad, moved = nested.tensors(one.batch)[one.path], one.mask.clone(), one.batch
    if one.token is None:
        noise = torch.randn(stream.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        where = pad.reshape(pad.shape + (1,) * (stream.dim() - 2))
        noisy = torch.where(where, stream + noise.to(stream), stream)
        moved = nested.map_leaves(lambda path, leaf: noisy if path == one.path else leaf, one.batch)
    elif not one.left:  # where padding is the token that ends a text, the first one is real
        pad &= pad.roll(1, 1)
        pad[:, 0] = False
    found = []
    for watch, batch in ((_Watch(), one.batch), (_Watch(stream, pad) if one.token is not None else _Watch(), moved)):
        with watch:
            found.append(_answer(session, batch, dtype)[0])
    if not ((watch.moved or one.token is None) and watch.attention and not watch.convolved and bool(pad.any())):
        return None
    worst = max((_largest(before, found[1][path], one) for path, before in found[0].items()), default=0.0)
    return worst if dtype is torch.float64 or worst > FLOAT32_FLOOR else 0.0


def _largest(before: Tensor, after: Tensor, one: Padded) -> float:
    """The largest change of an output at what is real."""
    b, t = one.mask.shape
    if before.dim() < 1 or before.shape[0] != b or before.shape != after.shape:
        return 0.0
    if before.dim() >= 3 or before.shape == one.mask.shape:
        if not t - 1 <= before.shape[1] <= t:
            return 0.0
        hide = one.mask[:, : before.shape[1]].reshape(*before.shape[:2], *[1] * (before.dim() - 2))
        after = torch.where(hide, before, after)
    return float(relative(before.unsqueeze(1), after.unsqueeze(1)).max())


def padded_targets(session: Session, one: Padded) -> int | None:
    """Padded positions at which the loss asks for padding; None where the loss is no cross-entropy per position."""
    if one.token is None:
        return None
    try:
        found = [supervised(session, view=view) for view in token_views(session)]
    except NotApplicable:
        return None
    counts = [sum(_asked(s.tokens, s.wanted, one.token) for s in seen) for seen in found]
    return min(counts, default=None)


def _asked(tokens: Tensor, wanted: Tensor, token: int) -> int:
    t = min(tokens.shape[1], wanted.shape[1])
    filled = tokens[:, :t] == token
    behind = filled & filled.roll(1, 1)  # the first one may be the real end of a text
    behind[:, 0] = False
    return int((behind & (wanted[:, :t] == token)).sum())
