"""Programs made from programs: another model, other optimizers, the rest as it was."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from gonogo.sizing.card.step import foreach
from gonogo.sizing.card.tape import unseen
from gonogo.sizing.programs.program import Program

Optimizers = tuple[Optimizer, ...]


def with_model(program: Program, change: Callable[[nn.Module], nn.Module]) -> Program:
    """The program with its model changed before anything is on the card; its optimizers follow to the new parameters.

    Parameters that the change adds belong to the first group of the first optimizer.
    """
    instead: dict[int, tuple[Tensor, Tensor]] = {}  # by id of the old one, which must stay alive for that
    added: list[Tensor] = []

    def model() -> nn.Module:
        with unseen():
            found = program.model()
            before = dict(found.named_parameters(remove_duplicate=False))
            found = change(found)
        after = dict(found.named_parameters(remove_duplicate=False))
        instead.clear()
        instead.update({id(old): (old, after[name]) for name, old in before.items() if name in after})
        added[:] = {id(one): one for name, one in after.items() if name not in before}.values()
        return found

    def optimizers(model: nn.Module) -> Optimizers:
        found = tuple(program.optimizers(model))
        groups = [group for one in found for group in one.param_groups]
        have = set[int]()
        for group in groups:
            new = dict.fromkeys(instead.get(id(one), (one, one))[1] for one in group["params"])
            group["params"] = [one for one in new if id(one) not in have]
            have |= {id(one) for one in new}
        if groups:
            groups[0]["params"] += [one for one in added if id(one) not in have]
        return found

    return replace(program, model=model, optimizers=optimizers)


def with_optimizers(program: Program, change: Callable[[nn.Module, Optimizers], Sequence[Optimizer]]) -> Program:
    """The program with other optimizers; one for inference has none, and keeps none."""

    def optimizers(model: nn.Module) -> Sequence[Optimizer]:
        found = tuple(program.optimizers(model))
        return change(model, found) if found else found

    return replace(program, optimizers=optimizers)


class StandIns(Optimizer):
    """An optimizer of parameters that steps `inner` on tensors that stand for them.

    Args:
        inner: Its groups hold the stand-ins.
        stands: Stand-in by parameter; a parameter without one is not updated by this rank.
        one_by_one: Gradients are handed over one at a time, so that their copies never exist together.
        kept: Do the stand-ins have memory of their own, as the states have?
    """

    def __init__(
        self, inner: Optimizer, stands: Mapping[Tensor, Tensor], parameters: Iterable[Tensor], *, kept: bool
    ) -> None:
        super().__init__([{"params": list(parameters)}], {})
        self._inner, self._stands, self._kept = inner, stands, kept
        foreach([inner])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear gradients, also those that the inner optimizer would clear beyond its own parameters."""
        super().zero_grad(set_to_none=set_to_none)
        self._inner.zero_grad(set_to_none=set_to_none)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update."""
        pairs = [(one, stand) for one, stand in self._stands.items() if one.grad is not None]
        for batch in [[pair] for pair in pairs] if self._kept else [pairs]:
            for parameter, stand in batch:
                stand.grad = local(parameter.grad).to(stand.dtype)  # type: ignore[arg-type]
            self._inner.step()
            for parameter, stand in batch:
                stand.grad = None
                if self._kept:
                    local(parameter).copy_(stand)
        for parameter, stand in pairs:
            own = {"stand-in": stand} if self._kept else {}
            self.state[parameter] = own | dict(self._inner.state[stand])


def standing_in(optimizer: Optimizer, stand: Callable[[Tensor], Tensor | None], *, kept: bool) -> StandIns:
    """An optimizer whose every parameter is replaced by its stand-in; those for which there is None are left out."""
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    stands = {one: found for one in parameters if (found := stand(one)) is not None}
    for group in optimizer.param_groups:
        group["params"] = [stands[one] for one in group["params"] if one in stands]
    return StandIns(optimizer, stands, parameters, kept=kept)


def local(tensor: Tensor) -> Tensor:
    """The part of a tensor that this rank holds."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
