"""Which keys torch's own attention is told to leave out. Legend of shapes: b rows, t positions."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from gonogo.instruments.streams.answers import answer
from gonogo.training.session import Session

_LAYERS = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer, nn.TransformerEncoder)


def hidden_keys(session: Session, model: nn.Module, batch: Any) -> list[tuple[str, Bool[Tensor, "b t"]]]:
    """(layer, True where a key is left out) of every attention of torch that is given a mask of keys."""
    found: list[tuple[str, Tensor]] = []

    def note(name: str) -> Callable[..., None]:
        def look(module: nn.Module, args: Any, kwargs: Any) -> None:
            found.extend((name, mask) for mask in _given(module, args, kwargs))

        return look

    with ExitStack() as stack, _Kernel(found):
        for name, module in model.named_modules():
            if isinstance(module, _LAYERS):
                stack.callback(module.register_forward_pre_hook(note(name), with_kwargs=True).remove)
        answer(session, model, batch)
    return found


def _given(module: nn.Module, args: Any, kwargs: Any) -> Iterator[Tensor]:
    """The masks of keys among the arguments of a layer: True, or minus infinity, leaves a key out."""
    for name, mask in inspect.signature(module.forward).bind_partial(*args, **kwargs).arguments.items():
        if name.endswith("key_padding_mask") and isinstance(mask, Tensor) and mask.dim() == 2:
            yield mask if mask.dtype is torch.bool else mask < -1e3


class _Kernel(TorchFunctionMode):
    """Notes the masks given to the kernel by models' own layers: there True keeps a key."""

    def __init__(self, found: list[tuple[str, Tensor]]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.scaled_dot_product_attention:
            mask = (kwargs or {}).get("attn_mask", args[3] if len(args) > 3 else None)
            if isinstance(mask, Tensor) and mask.dim() == 4 and len(mask) == len(args[0] if args else mask):
                kept = mask if mask.dtype is torch.bool else mask > -1e3
                self.found.append(("scaled_dot_product_attention", ~kept.flatten(1, 2).any(1)))
        return func(*args, **(kwargs or {}))
