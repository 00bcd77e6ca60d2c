"""Half precision in a run's own step: where it is, and the same step without it."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gonogo.instruments.loss.interception import BINARY_LOSSES, CLASS_LOSSES, VALUE_LOSSES
from gonogo.instruments.step import own_steps
from gonogo.instruments.step.own_steps import OwnSteps
from gonogo.training import batch as nested
from gonogo.training.session import Session

HALF = (torch.bfloat16, torch.float16)
_LOSSES = (*CLASS_LOSSES, *VALUE_LOSSES, *BINARY_LOSSES, "log_softmax", "logsumexp", "logsigmoid", "kl_div", "ctc_loss")
_CASTS = ("half", "bfloat16")


class Census(TorchFunctionMode):
    """Counts results in half precision: all of them by format, and those of losses that are learned from by name."""

    def __init__(self) -> None:
        super().__init__()
        self.formats: Counter[torch.dtype] = Counter()
        self.losses: Counter[str] = Counter()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.dtype in HALF:
            self.formats[out.dtype] += 1
            name = getattr(func, "__name__", "")
            if name in _LOSSES and out.requires_grad:
                self.losses[f"{name} in {str(out.dtype).removeprefix('torch.')}"] += 1
        return out


class _Full(TorchFunctionMode):
    """Casts to half precision become casts to float32."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in _CASTS and args and isinstance(args[0], Tensor):
            return args[0].float()
        return func(*(_full(arg) for arg in args), **{name: _full(value) for name, value in (kwargs or {}).items()})


def _full(value: Any) -> Any:
    return torch.float32 if isinstance(value, torch.dtype) and value in HALF else value


@contextmanager
def full_precision() -> Iterator[None]:
    """Casts and autocast to half precision do nothing, wherever they are written."""
    enter = torch.autocast.__enter__

    def switched_off(self: Any) -> Any:
        self._enabled = False
        return enter(self)

    torch.autocast.__enter__ = switched_off  # type: ignore[method-assign]
    try:
        with _Full():
            yield
    finally:
        torch.autocast.__enter__ = enter  # type: ignore[method-assign]


def in_full(session: Session, like: OwnSteps, batches: list[Any], noise: float = 0.0) -> OwnSteps:
    """A fresh run up to the update that `like` made first, in float32, each weight off by at most `noise` of itself."""
    own = OwnSteps(session)
    own.model.float()
    if noise:
        _shaken(own.model, noise)
    # A loss scale that was too large has made calls without an update: they have changed no weight.
    own.calls = max(like.updates[0].call + 1 - max(session.claims.accumulation, 1), 0)
    with full_precision():
        own.until_update([nested.to(batch, dtype=torch.float32) for batch in batches], patience=own_steps.PATIENCE // 8)
    return own


def _shaken(model: nn.Module, noise: float) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point():
                signs = torch.randint(0, 2, parameter.shape, generator=generator) * 2 - 1
                parameter.mul_(1 + noise * signs.to(parameter))
