"""Forward passes of models: in which mode, with or without gradient, and which modules took part."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.compiler import is_compiling
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from gonogo.watch.patch import Undo, quietly, tap
from gonogo.watch.tracer import Tracer

_RATES = ("dropout", "dropout_p", "attention_dropout", "drop_prob")
LOOKS = 3  # forward passes without gradient between two steps whose mode is looked at in full


def install(tracer: Tracer) -> list[Undo]:
    """See every call of a module that no other module makes."""
    inside: list[int] = []
    looks = [0]

    def before(module: nn.Module, inputs: Any) -> None:
        if is_compiling() or not tracer.here:
            return
        inside.append(id(module))
        tracer.called.add(id(module))
        if len(inside) == 1:
            note(tracer, module, looks, inputs)

    def after(module: nn.Module, inputs: Any, output: Any) -> None:
        if is_compiling() or not inside or not tracer.mine:
            return
        while inside and inside.pop() != id(module):
            pass

    tracer.on_step.append(lambda: looks.__setitem__(0, 0))
    handles = (register_module_forward_pre_hook(before), register_module_forward_hook(after, always_call=True))

    def compiling(*_: Any, **__: Any) -> None:
        tracer.emit("compile")

    return [
        *(handle.remove for handle in handles),
        tap(tracer, torch, "compile", before=compiling),
        tap(tracer, nn.Module, "compile", before=compiling),
    ]


@quietly
def note(tracer: Tracer, module: nn.Module, looks: list[int], inputs: Any) -> None:
    """Tell of one forward pass."""
    number, new = tracer.number("model", module)
    grad = torch.is_grad_enabled()
    facts: dict[str, Any] = {"model": number, "training": module.training, "grad": grad, "pass": tracer.reading}
    if any(isinstance(value, torch.Tensor) and value.requires_grad and value.is_leaf for value in inputs):
        facts["asks_inputs"] = True  # an attack or a saliency map: its gradient is not for the weights
    tracer.evaluated = tracer.evaluated or not grad
    looks[0] += 1
    if tracer.sampled or new or looks[0] <= LOOKS:
        modes = [part.training for part in varying(module)]
        facts["varying"] = [sum(modes), len(modes)]
    if torch.is_autocast_enabled("cpu") or (torch.cuda.is_available() and torch.is_autocast_enabled("cuda")):
        facts["autocast"] = True
    tracer.emit("call", **facts)


def varying(model: nn.Module) -> Iterator[nn.Module]:
    """The modules that do something else in training mode than in evaluation mode."""
    for part in model.modules():
        if isinstance(part, _DropoutNd):
            if part.p > 0:
                yield part
        elif isinstance(part, _NormBase):
            if part.track_running_stats:
                yield part
        elif any(isinstance(rate := getattr(part, name, None), float) and rate > 0 for name in _RATES):
            yield part
