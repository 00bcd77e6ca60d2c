"""Parts that do not learn: parameters frozen by name, and low-rank adapters on a frozen base."""

from fnmatch import fnmatch
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.errors import SubjectError, did_you_mean
from gonogo.sizing.card import fake_card
from gonogo.sizing.programs.blocks import blocks
from gonogo.sizing.programs.program import Program
from gonogo.sizing.programs.rewriting import with_model


def frozen(program: Program, pattern: str) -> Program:
    """Parameters whose names match (`encoder.*`, with shell wildcards; a name alone means all below it) are frozen.

    Raises:
        SubjectError: When it is built: nothing matches.
    """

    def change(model: nn.Module) -> nn.Module:
        names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
        matching = {name for name in names if fnmatch(name, pattern) or name.startswith(f"{pattern}.")}
        if not matching:
            near = did_you_mean(pattern, [*dict(model.named_modules()), *names])
            raise SubjectError(f"frozen={pattern}: no parameter has such a name.{near}")
        for name, parameter in model.named_parameters(remove_duplicate=False):
            if name in matching:
                parameter.requires_grad_(False)
        return model

    return with_model(program, change)


def adapters(program: Program, rank: int) -> Program:
    """A frozen base with two thin layers beside every linear layer of its blocks, in fp32 where the base is in half.

    Raises:
        SubjectError: When it is built: there is no linear layer.
    """

    def change(model: nn.Module) -> nn.Module:
        layers = {id(part): part for block in blocks(model) for part in block.modules() if isinstance(part, nn.Linear)}
        if not layers:
            raise SubjectError(f"lora={rank}: the blocks of the model have no nn.Linear; expected at least one")
        model.requires_grad_(False)
        for layer in layers.values():
            _adapt(layer, rank)
        return model

    return with_model(program, change)


def _adapt(layer: nn.Linear, rank: int) -> None:
    with torch.device(fake_card.DEVICE):
        layer.lora_a = nn.Linear(layer.in_features, rank, bias=False)
        layer.lora_b = nn.Linear(rank, layer.out_features, bias=False)
    layer.register_forward_hook(_beside)


def _beside(layer: Any, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
    raised = layer.lora_b(layer.lora_a(args[0].to(layer.lora_a.weight.dtype)))
    return (output + raised * 2.0).to(output.dtype)
