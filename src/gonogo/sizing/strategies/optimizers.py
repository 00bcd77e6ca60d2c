"""Optimizers instead of the program's own: other kernels, other states, states on the host."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from gonogo.errors import SubjectError
from gonogo.sizing.programs.program import Program
from gonogo.sizing.programs.rewriting import Optimizers, local, with_optimizers

BLOCK = 256  # values for one float32 scale of 8-bit states
SMALLEST = 4096  # values from which states have 8 bits; below they have 32


class AdamW8bit(Optimizer):
    """The memory of AdamW with 8-bit states: two of uint8, float32 scales of their blocks, two tables of 256 values.

    One kernel updates a parameter in place; it takes nothing beside. Values are not computed.
    """

    def __init__(self, parameters: Iterable[Any]) -> None:
        super().__init__(parameters, {})
        self._tables: list[Tensor] = []

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """States of parameters that have gradients appear."""
        for parameter in (one for group in self.param_groups for one in group["params"] if one.grad is not None):
            if not self.state[parameter]:
                self.state[parameter] = self._states(local(parameter))

    def _states(self, values: Tensor) -> dict[str, Tensor]:
        count = values.numel()
        if count < SMALLEST:
            return {name: torch.zeros_like(values, dtype=torch.float32) for name in ("first", "second")}
        if not self._tables:
            self._tables = [values.new_empty(256, dtype=torch.float32) for _ in range(2)]
        states = {f"table {number}": table for number, table in enumerate(self._tables)}
        for name in ("first", "second"):
            states[name] = torch.zeros_like(values, dtype=torch.uint8)
            states[f"scales of {name}"] = values.new_zeros(-(-count // BLOCK), dtype=torch.float32)
        return states


class OnHost(Optimizer):
    """The card's side of an optimizer that lives on the host: gradients go there, updated weights come back."""

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        super().__init__([{"params": list(parameters)}], {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Parameter by parameter, in both directions; the card needs nothing for it."""
        for parameter in self.param_groups[0]["params"]:
            if parameter.grad is not None:
                local(parameter).copy_(local(parameter.grad).to("cpu"))


def instead(program: Program, make: Callable[[list[dict[str, Any]]], Optimizer]) -> Program:
    """Each optimizer replaced by one that is made of its groups."""

    def change(model: nn.Module, found: Optimizers) -> Optimizers:
        return tuple(make([{"params": group["params"]} for group in one.param_groups]) for one in found)

    return with_optimizers(program, change)


def eight_bit(program: Program) -> Program:
    """AdamW with 8-bit states."""
    return instead(program, AdamW8bit)


def momentum(program: Program) -> Program:
    """SGD with momentum 0.9."""
    return instead(program, lambda groups: SGD(groups, lr=1e-3, momentum=0.9))


def on_host(program: Program) -> Program:
    """No state on the card."""
    return instead(program, lambda groups: OnHost(one for group in groups for one in group["params"]))


def kernels(program: Program, choice: str) -> Program:
    """Adam or AdamW as `fused`, `foreach` or `for-loop`; another optimizer becomes AdamW."""

    def change(model: nn.Module, found: Optimizers) -> Optimizers:
        adam = tuple(one if isinstance(one, Adam) else AdamW(one.param_groups, lr=1e-3) for one in found)
        for group in (group for one in adam for group in one.param_groups):
            if group.get("differentiable"):
                raise SubjectError(f"adamw-{choice}: the optimizer is differentiable, which only the for-loop is")
            group["fused"], group["foreach"] = choice == "fused", choice == "foreach"
        return adam

    return with_optimizers(program, change)
