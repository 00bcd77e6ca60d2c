"""What is read at a look: gradients, memory, use of the device, gates. Only here is a GPU waited for."""

import contextlib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gonogo.errors import ProfileError, did_you_mean
from gonogo.watch.taps.optimizers import norms

STATUS = Path("/proc/self/status")


def values_of(tensors: list[Tensor]) -> list[float]:
    """The numbers, with one transfer where they are on one device."""
    if len({tensor.device for tensor in tensors}) == 1:
        return torch.stack([tensor.reshape(()).float() for tensor in tensors]).tolist()
    return [float(tensor) for tensor in tensors]


def gradients(optimizers: Iterable[Optimizer]) -> tuple[float | None, int]:
    """(norm of all gradients, tensors among them that are not finite); None without gradients.

    A scaler that lets the optimizer itself skip a bad step leaves infinite gradients that do no harm.
    """
    steppers = [one for one in optimizers if getattr(one, "found_inf", None) is None]
    found = [p.grad for one in steppers for group in one.param_groups for p in group["params"] if p.grad is not None]
    dense = [_local(gradient) for gradient in found if not gradient.is_sparse]
    if not dense:
        return None, 0
    sizes = values_of(list(norms(dense, 2.0)))
    norm = math.hypot(*sizes)
    if math.isfinite(norm):
        return norm, 0
    # Squares overflow where entries do not, most of all in float16.
    return norm, sum(not math.isfinite(size) for size in values_of(list(norms(dense))))


def _local(tensor: Tensor) -> Tensor:
    """This rank's part of a sharded tensor: nothing is exchanged for a look."""
    to_local = getattr(tensor, "to_local", None)
    return to_local() if to_local is not None else tensor


def memory() -> tuple[dict[str, int], dict[str, int]]:
    """(in use, free) by place, bytes."""
    used = {"host": _resident()}
    free = {"host": psutil.virtual_memory().available}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        used["device"] = torch.cuda.memory_allocated()
        free["device"] = torch.cuda.mem_get_info()[0]
    return used, free


def _resident() -> int:
    """Bytes of this process in memory, without pages of mapped files, which the system takes back."""
    try:
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return sum(1024 * int(lines[kind].split()[0]) for kind in ("RssAnon", "RssShmem"))
    except (OSError, KeyError):  # not Linux
        return psutil.Process().memory_info().rss


def device_use() -> dict[str, float]:
    """{'device_use': share of the time}, where the driver tells it."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        with contextlib.suppress(Exception):  # the driver's library may be missing
            return {"device_use": torch.cuda.utilization() / 100}
    return {}


class Gates:
    """How far gates are at one end: read in forward passes before a look, in others nothing is computed."""

    def __init__(self, model: nn.Module, names: Iterable[str]) -> None:
        self.model, self.open = model, False
        self._last: dict[str, Tensor] = {}
        modules = dict(model.named_modules())
        unknown = [name for name in names if name not in modules]
        if unknown:
            near = did_you_mean(unknown[0], modules)
            raise ProfileError(f"watch.gates: the model has no module {unknown[0]!r}.{near}")
        self.handles = [modules[name].register_forward_hook(self._keep(name)) for name in names]

    def _keep(self, name: str) -> Any:
        def keep(_: nn.Module, __: Any, output: Any) -> None:
            if self.open and self.model.training and isinstance(output, Tensor) and output.dim() >= 2:
                self._last[name] = output.detach()

        return keep

    def shares(self) -> dict[str, float]:
        """By name: 1 where all samples get the same extreme answer."""
        found = {name: extremeness(output) for name, output in self._last.items() if output.shape[0] > 1}
        self._last.clear()
        return {name: share for name, share in found.items() if share is not None}

    def rates(self) -> Mapping[str, float]:
        """`consultation_rate` of every module that has one: a number, or a function that returns it."""
        found: dict[str, float] = {}
        for name, module in self.model.named_modules():
            rate = getattr(module, "consultation_rate", None)
            rate = rate() if callable(rate) and not isinstance(rate, nn.Module) else rate
            if isinstance(rate, int | float) or (isinstance(rate, Tensor) and rate.numel() == 1):
                found[f"consultation_rate/{name}".rstrip("/")] = float(rate)
        return found


def extremeness(output: Tensor) -> float | None:
    """Of shares that sum to 1: the largest mean share. Of gates in [0, 1]: the part at one end for all samples.

    None for anything else.
    """
    output = output.float()
    if not bool(((output >= 0) & (output <= 1)).all()):
        return None
    if output.shape[-1] > 1 and bool(((output.sum(-1) - 1).abs() < 1e-3).all()):
        return float(output.flatten(0, -2).mean(0).max())
    low, high = output.amin(0), output.amax(0)
    return float(((high < 0.01) | (low > 0.99)).float().mean())
