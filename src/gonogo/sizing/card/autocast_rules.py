"""Which operators run in half precision under autocast, for a device that torch has no lists for: CUDA's lists.

They are read from the header that torch itself installs, so they are those of the installed version.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

_LIBRARIES: list[Any] = []  # registrations live as long as these
_CASTS: dict[int, tuple[Tensor, Tensor]] = {}  # half-precision copies of weights, kept until autocast ends
_HEADER = "include/ATen/autocast_mode.h"
_LISTS = {"low": "LOWER_PRECISION_FP", "full": "FP32", "output": "FP32_SET_OPT_DTYPE", "widest": "PROMOTE"}
# Not in the header: on a card these are one call of cuDNN, for which all inputs are cast once. Here they are written
# out, and each of their small steps would cast its weights anew.
_RECURRENT = [(name, kind) for name in ("lstm", "gru", "rnn_tanh", "rnn_relu") for kind in ("input", "data")]


def install(device: str) -> None:
    """Register the rules for a device of the key PrivateUse1."""
    everything_else = torch.library.Library("_", "IMPL", "AutocastPrivateUse1")
    everything_else.fallback(torch.library.fallthrough_kernel)
    rules = torch.library.Library("aten", "IMPL", "AutocastPrivateUse1")
    for kind, macro in _LISTS.items():
        for name, overload in listed(macro) + (_RECURRENT if kind == "low" else []):
            packet = getattr(torch.ops.aten, name, None)
            operator = getattr(packet, overload, None)
            if operator is not None:
                rules.impl(name if overload == "default" else f"{name}.{overload}", _wrapped(operator, kind, device))
    _LIBRARIES.extend((everything_else, rules))
    _clear_with_autocast()


def listed(macro: str) -> list[tuple[str, str]]:
    """(operator, overload) of one list of the header."""
    text = (Path(torch.__file__).parent / _HEADER).read_text(encoding="utf-8")
    found = re.search(rf"#define AT_FORALL_{macro}\(_\)(.*?)(?:\n\n|#define)", text, re.DOTALL)
    if found is None:
        raise RuntimeError(f"{_HEADER} of torch {torch.__version__} has no list {macro}")
    return [(name, overload or "default") for name, overload in re.findall(r"_\((\w+)(?:,\s*(\w+))?\)", found[1])]


def _clear_with_autocast() -> None:
    clear: Callable[[], None] = torch.clear_autocast_cache

    def both() -> None:
        _CASTS.clear()
        clear()

    torch.clear_autocast_cache = both


def _wrapped(operator: Any, kind: str, device: str) -> Callable[..., Any]:
    names = [argument.name for argument in operator._schema.arguments]
    place = names.index("dtype") if "dtype" in names else len(names)
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)  # type: ignore[attr-defined]

    def run(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(keys):
            if kind == "output":
                return operator(*args[:place], **_with_wide_output(args, kwargs, place, device))
            target = _target(kind, (args, kwargs), device)
            if target is not None:
                args, kwargs = tree_map(lambda leaf: _cast(leaf, target, device), (args, kwargs))
            return operator(*args, **kwargs)

    return run


def _with_wide_output(args: tuple[Any, ...], kwargs: dict[str, Any], place: int, device: str) -> dict[str, Any]:
    """Keyword arguments, with the dtype that autocast asks for where the caller, who may give it in place, does not."""
    dtype = args[place] if len(args) > place else kwargs.get("dtype")
    if dtype is None and _concerns(args[0], device) and args[0].dtype != torch.float32:
        dtype = torch.float32
    return {**kwargs, "dtype": dtype}


def _target(kind: str, given: Any, device: str) -> torch.dtype | None:
    if kind == "low":
        return torch.get_autocast_dtype(device)
    wide = any(_concerns(leaf, device) and leaf.dtype == torch.float32 for leaf in tree_leaves(given))
    return torch.float32 if kind == "full" or wide else None


def _concerns(leaf: Any, device: str) -> bool:
    return (
        isinstance(leaf, Tensor)
        and leaf.device.type == device
        and leaf.is_floating_point()
        and leaf.dtype != torch.float64
    )


def _cast(leaf: Any, dtype: torch.dtype, device: str) -> Any:
    if not _concerns(leaf, device) or leaf.dtype == dtype:
        return leaf
    weight = leaf.dtype == torch.float32 and leaf.requires_grad and leaf.is_leaf and not leaf._is_view()
    kept = dtype != torch.float32 and torch.is_autocast_cache_enabled() and not torch.is_inference_mode_enabled()
    if not (weight and kept):
        return leaf.to(dtype)
    if id(leaf) not in _CASTS:
        _CASTS[id(leaf)] = (leaf, leaf.to(dtype))
    return _CASTS[id(leaf)][1]
