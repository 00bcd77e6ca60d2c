"""What padding does: the same row with and without it, other content in it, and the loss at it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gonogo.errors import NotApplicable
from gonogo.instruments.isolation import relative
from gonogo.instruments.padding import Padded
from gonogo.instruments.recorded_call import wake
from gonogo.instruments.supervision import supervised, token_views
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
        self.tokens, self.pad, self.attention, self.moved = tokens, pad, False, False

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        self.attention |= name in ATTENTION
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
            change = float(relative(before, second[path]).max())
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
    return whole if whole.shape == cut.shape and whole.dim() >= 2 else None


def attended(session: Session, one: Padded) -> float | None:
    """The change of real outputs when the embedding of padding moves; None where that cannot be told."""
    tokens = nested.tensors(one.batch)[one.path]
    model = session.copy_model()
    convolves = any(max(m.kernel_size) > 1 for m in model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d))
    if one.token is None or convolves:
        return None
    for dtype in (torch.float64, None):
        try:
            return _attended(session, one, tokens, dtype)
        except (RuntimeError, TypeError):
            continue
    return None


def _attended(session: Session, one: Padded, tokens: Tensor, dtype: torch.dtype | None) -> float | None:
    pad = one.mask.clone()
    # Where padding is the token that ends a text, the first one is real.
    if not one.left:
        pad &= pad.roll(1, 1)
        pad[:, 0] = False
    found = []
    for watch in (_Watch(), _Watch(tokens, pad)):
        with watch:
            found.append(_answer(session, one.batch, dtype)[0])
    if not (watch.moved and watch.attention and bool(pad.any())):
        return None
    worst, floor = 0.0, 0.0 if dtype is torch.float64 else FLOAT32_FLOOR
    for path, before in found[0].items():
        if before.dim() < 2 or before.shape[0] != len(pad) or before.shape != found[1][path].shape:
            continue
        after, keep = found[1][path], ~one.mask
        if before.dim() >= 3:
            if abs(before.shape[1] - pad.shape[1]) > 1 or before.shape[1] > pad.shape[1]:
                continue
            hide = ~keep[:, : before.shape[1]].reshape(*before.shape[:2], *[1] * (before.dim() - 2))
            after = torch.where(hide, before, after)
        worst = max(worst, float(relative(before.unsqueeze(1), after.unsqueeze(1)).max()))
    return worst if worst > floor else 0.0


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
