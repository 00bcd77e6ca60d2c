"""The averaged weights inside whatever a run calls its average: a module, a mapping, a list, or an object with one."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Weights = Mapping[str, Tensor]

# What holds averaged weights by its name; other tensors of such an object may be borrowed or put aside.
_OWN = ("shadow", "ema", "aver", "avg", "mean", "smooth", "module", "state")
_NOT = ("backup", "stored", "saved", "collected", "original", "raw", "online", "live", "source")


def averaged(average: Any, model: nn.Module) -> dict[str, Tensor]:
    """The averaged weights by the model's parameter names; empty if nothing in `average` looks like them."""
    wanted = {name: p for name, p in model.named_parameters() if p.requires_grad and p.is_floating_point()}
    sure, maybe = _candidates(average, model)
    found = [matched for candidate in [*sure, *maybe] if (matched := _matched(candidate, wanted))]
    apart = [candidate for candidate in found if not aliased(candidate, model)]
    # An object may well hold the weights that it follows; only what is called an average must be apart from them.
    named = [matched for candidate in sure if (matched := _matched(candidate, wanted))]
    return (apart or named or [{}])[0]


def aliased(weights: Mapping[str, Tensor], model: nn.Module) -> list[str]:
    """Names of tensors that are no copies: they live in the memory of the model's own."""
    own = {tensor.data_ptr() for tensor in [*model.parameters(), *model.buffers()] if tensor.numel()}
    return [name for name, tensor in weights.items() if tensor.numel() and tensor.data_ptr() in own]


def _candidates(average: Any, model: nn.Module) -> tuple[list[Any], list[Any]]:
    """What is called an average, and what else is inside."""
    inside: dict[str, Any] = dict(average) if isinstance(average, Mapping) else {}
    if hasattr(average, "__dict__"):
        inside |= {**vars(average), **vars(average).get("_modules", {})}
    inside = {str(name).lower(): value for name, value in inside.items()}
    usable = {name: value for name, value in inside.items() if not any(word in name for word in _NOT)}
    named = {name for name in usable if any(word in name for word in _OWN)}
    others = [value for name, value in usable.items() if name not in named and value is not model]
    return [average, *(usable[name] for name in sorted(named))], others


def _matched(candidate: Any, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if isinstance(candidate, nn.Module):
        candidate = dict(candidate.named_parameters()) | dict(candidate.named_buffers())
    if isinstance(candidate, Mapping):
        tensors = {str(key): value for key, value in candidate.items() if isinstance(value, Tensor)}
        by_name = {name: _by_suffix(name, tensors) for name in wanted}
        fits = {n: t for n, t in by_name.items() if t is not None and t.shape == wanted[n].shape}
        return fits if len(fits) * 2 > len(wanted) else {}
    if isinstance(candidate, list | tuple) and len(candidate) == len(wanted):
        pairs = list(zip(wanted, candidate, strict=True))
        if all(isinstance(t, Tensor) and t.shape == wanted[name].shape for name, t in pairs):
            return dict(pairs)
    return {}


def _by_suffix(name: str, tensors: Mapping[str, Tensor]) -> Tensor | None:
    if name in tensors:
        return tensors[name]
    return next((tensor for key, tensor in tensors.items() if key.endswith(f".{name}")), None)


def copied(weights: Weights) -> Weights:
    """The weights as they are now."""
    return {name: tensor.detach().clone() for name, tensor in weights.items()}


def share_kept(trace: Sequence[tuple[Weights, Weights]], step: int) -> float | None:
    """The d of average = d * average + (1 - d) * weight at one of the updates; None if the change has another form.

    `trace` holds the weights and averages after each update.
    """
    weights, after, before = trace[step][0], trace[step][1], trace[step - 1][1]
    names = after.keys() & before.keys() & weights.keys()
    if not names:
        return None
    change = torch.cat([(after[n] - before[n]).flatten().double() for n in sorted(names)])
    way = torch.cat([(weights[n] - before[n]).flatten().double() for n in sorted(names)])
    if not float(way @ way):
        return None
    share = float(change @ way) / float(way @ way)
    straight = float((change - share * way).norm()) <= 1e-2 * float(change.norm()) + 1e-7 * float(way.norm())
    return 1 - share if straight else None
