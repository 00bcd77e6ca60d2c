"""Number formats of weights and of the work: bf16, fp16, fp32, autocast, and master weights with working copies."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from gonogo.sizing.card import fake_card
from gonogo.sizing.programs.program import Program
from gonogo.sizing.programs.rewriting import Optimizers, local, standing_in, with_model, with_optimizers


def weights_in(program: Program, dtype: torch.dtype) -> Program:
    """Weights, buffers, gradients and floating-point inputs in one format; optimizer states follow the weights."""

    def change(model: nn.Module) -> nn.Module:
        cast(model, dtype)
        model.register_forward_pre_hook(_inputs_to(dtype), with_kwargs=True)
        return model

    return with_model(program, change)


def cast(model: nn.Module, dtype: torch.dtype) -> None:
    """Floating-point parameters and buffers to a format, in place; tied ones stay tied."""
    new: dict[int, tuple[Tensor, Tensor]] = {}
    for part in model.modules():
        for table in (part._parameters, part._buffers):
            for name, tensor in table.items():
                if tensor is not None and tensor.is_floating_point() and tensor.dtype != dtype:
                    if id(tensor) not in new:
                        new[id(tensor)] = tensor, _cast(tensor, dtype)
                    table[name] = new[id(tensor)][1]  # type: ignore[assignment]


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    with torch.no_grad():
        there = tensor.to(dtype)
    return nn.Parameter(there, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else there


def _inputs_to(dtype: torch.dtype) -> Callable[..., Any]:
    def move(leaf: Any) -> Any:
        return leaf.to(dtype) if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf

    return lambda module, args, kwargs: (tree_map(move, args), tree_map(move, kwargs))


def autocast(program: Program, dtype: torch.dtype) -> Program:
    """Operators of autocast's lists in half precision, weights as they are.

    Around the loss; around the model's forward where the program has its own step.
    """
    if program.update is None:
        return replace(program, loss=_within(program.loss, dtype))

    def change(model: nn.Module) -> nn.Module:
        model.forward = _within(model.forward, dtype)
        return model

    return with_model(program, change)


def _within(call: Callable[..., Any], dtype: torch.dtype) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(fake_card.DEVICE, dtype=dtype):
            return call(*args, **kwargs)

    return run


def master_weights(program: Program) -> Program:
    """bf16 weights and gradients, and an optimizer on fp32 copies: 2 + 2 + 4 bytes, and its states, a parameter.

    Gradients are cast one parameter at a time, as optimizers that know of master weights do.
    """

    def change(model: nn.Module, found: Optimizers) -> Optimizers:
        return tuple(standing_in(one, _master, kept=True) for one in found)

    return with_optimizers(weights_in(program, torch.bfloat16), change)


def _master(parameter: Tensor) -> Tensor | None:
    return local(parameter.detach()).float() if parameter.requires_grad else None
