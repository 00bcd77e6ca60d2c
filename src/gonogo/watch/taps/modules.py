"""Forward passes of models: in which mode, with or without gradient, and which modules took part."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.compiler import is_compiling
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from gonogo.watch.patch import Undo, quietly, tap
from gonogo.watch.taps.contents import spread
from gonogo.watch.tracer import Tracer

_DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
_RATES = ("dropout", "dropout_p", "attention_dropout", "drop_prob")
NEAR = 12  # nodes of the graph of an input that are looked at
LOOKS = 3  # forward passes without gradient between two steps whose mode is looked at in full


def install(tracer: Tracer) -> list[Undo]:
    """See every call of a module with parameters that no other such module makes."""
    calls = _Calls(tracer)
    tracer.on_step.append(calls.next_step)
    handles = (
        register_module_forward_pre_hook(calls.before),
        register_module_forward_hook(calls.after, always_call=True),
    )

    def compiling(*_: Any, **__: Any) -> None:
        tracer.emit("compile")

    return [
        *(handle.remove for handle in handles),
        tap(tracer, torch, "compile", before=compiling),
        tap(tracer, nn.Module, "compile", before=compiling),
        *(tap(tracer, functional, name, before=calls.dropping) for name in _DROPOUTS),
    ]


class _Calls:
    """The modules that are at work, the outermost first."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.inside: list[int] = []
        self.looks = [0]
        self.mode = True  # of the outermost

    def next_step(self) -> None:
        self.looks[0] = 0

    def before(self, module: nn.Module, inputs: Any) -> None:
        if is_compiling() or not self.tracer.here:
            return
        self.tracer.called.add(id(module))
        if not self.inside and next(module.parameters(), None) is None:
            return  # a transform of one sample, a loss function: no model, and there are thousands of them
        self.inside.append(id(module))
        if len(self.inside) == 1:
            self.mode = module.training
            note(self.tracer, module, self.looks, inputs)

    @quietly
    def dropping(self, values: Any, p: float = 0.5, training: bool = True, *_: Any, **__: Any) -> None:
        """A model may have dropout that is no module: in which mode it is then, the function is told."""
        if p > 0 and self.inside and self.inside[0] not in self.tracer.dropping:
            self.tracer.dropping.add(self.inside[0])
        if p > 0 and training and self.inside and not self.mode and not torch.is_grad_enabled():
            self.tracer.emit("dropped", **{"pass": self.tracer.reading})

    def after(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if is_compiling() or id(module) not in self.inside or not self.tracer.mine:
            return
        while self.inside and self.inside.pop() != id(module):
            pass


@quietly
def note(tracer: Tracer, module: nn.Module, looks: list[int], inputs: Any) -> None:
    """Tell of one forward pass."""
    tracer.forwards += 1
    number, new = tracer.number("model", module)
    grad = torch.is_grad_enabled()
    facts: dict[str, Any] = {"model": number, "training": module.training, "grad": grad, "pass": tracer.reading}
    tracer.evaluated = tracer.evaluated or not grad
    looks[0] += 1
    if tracer.sampled or new or looks[0] <= LOOKS:
        modes = [part.training for part in varying(module)]
        modes += [module.training] * (id(module) in tracer.dropping)
        facts["varying"] = [sum(modes), len(modes)]
        facts |= spread(inputs)
        if any(isinstance(value, torch.Tensor) and value.requires_grad and _is_asked(value) for value in inputs):
            facts["asks_inputs"] = True  # an attack or a saliency map: its gradient is not for the weights
    if torch.is_autocast_enabled("cpu") or (torch.cuda.is_available() and torch.is_autocast_enabled("cuda")):
        facts["autocast"] = True
    tracer.emit("call", **facts)


def _is_asked(value: torch.Tensor) -> bool:
    """Is this a leaf that asks for its gradient, or near to one that is no parameter, as x + delta is?"""
    leaves, nodes = [value] if value.is_leaf else [], [value.grad_fn]
    for _ in range(NEAR):
        node = nodes.pop(0) if nodes else None
        leaves += [node.variable] if hasattr(node, "variable") else []  # type: ignore[union-attr]
        nodes += [inner for inner, _ in (node.next_functions if node is not None else ())]
    return any(not isinstance(leaf, nn.Parameter) for leaf in leaves)


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
