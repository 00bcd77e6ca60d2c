"""The fast path of torch's own encoders, and a second run beside it in which attention can be seen."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

_FAST = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)


@contextlib.contextmanager
def observed_beside(model: nn.Module) -> Iterator[None]:
    """Lets torch's encoders take their fast path, as they would unobserved, and runs them once more for the look.

    Modes keep torch from its fast path, whose results differ in the last bits and at padded places.
    """
    kept = [(module, module.__dict__.get("forward")) for module in model.modules() if type(module) in _FAST]
    looking: list[bool] = []
    for module, _ in kept:
        module.forward = _twice(module, module.forward, looking)
    try:
        yield
    finally:
        for module, own in kept:
            del module.forward
            if own is not None:
                module.forward = own


def _twice(module: nn.Module, original: Callable[..., Any], looking: list[bool]) -> Callable[..., Any]:
    def forward(*args: Any, **kwargs: Any) -> Any:
        if looking or module.training or _is_slow(module, args):
            return original(*args, **kwargs)
        looking.append(True)
        try:
            original(*args, **kwargs)
        finally:
            looking.pop()
        with torch._C.DisableTorchFunction():
            return original(*args, **kwargs)

    return forward


def _is_slow(module: nn.Module, args: Any) -> bool:
    """Would torch leave its fast path aside anyway: for another mode than ours, or for gradients?"""
    leaves = [*module.parameters(), *(a for a in args if isinstance(a, Tensor))]
    gradients = torch.is_grad_enabled() and any(leaf.requires_grad for leaf in leaves)
    return gradients or torch._C._len_torch_function_stack() != 1
