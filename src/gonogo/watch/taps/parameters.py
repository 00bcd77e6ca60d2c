"""Each parameter of the models that ran: who holds it, has it ever had a gradient, was its module ever called?"""

from collections.abc import Iterator
from typing import Any

from torch import nn

from gonogo.watch.patch import Undo, quietly
from gonogo.watch.taps.optimizers import norms
from gonogo.watch.tracer import Tracer

MOST = 3000  # parameters that are written down


def install(tracer: Tracer) -> list[Undo]:
    """Look at the parameters after steps, and tell at the end what was found."""
    accounts = _Accounts(tracer)
    tracer.on_step.append(accounts.look)
    tracer.on_end.append(accounts.tell)
    return []


class _Accounts:
    """By the number of a parameter: [looks, with a gradient, with one that was not zero]."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.seen: dict[int, list[int]] = {}
        self.latest: dict[tuple[str, int], dict[str, Any]] = {}  # objects may be gone when the script ends

    @quietly
    def look(self) -> None:
        """Follow each parameter; told now and then, in case that the process is killed."""
        if self.tracer.sampled:
            for _, model in self.tracer.all_of("model"):
                self._follow(list(model.parameters()))
            for _, optimizer in self.tracer.all_of("optimizer"):
                self._follow([p for group in optimizer.param_groups for p in group["params"]])
            self._sum_up()
        if self.tracer.steps in (3, 10, 30) or self.tracer.steps % 100 == 0:
            self.tell()

    def _follow(self, parameters: list[nn.Parameter]) -> None:
        doubtful = []
        for parameter in parameters:
            found = self.seen.setdefault(self.tracer.number("parameter", parameter)[0], [0, 0, 0])
            found[0] = self.tracer.steps
            if parameter.grad is not None:
                found[1] += 1
                if not found[2] and not parameter.grad.is_sparse and parameter.grad.numel():
                    doubtful.append((found, parameter.grad))
                elif not found[2]:
                    found[2] = 1
        sizes = norms([gradient for _, gradient in doubtful])
        for (found, _), size in zip(doubtful, sizes, strict=True):
            found[2] = int(float(size) != 0)

    @quietly
    def tell(self) -> None:
        """One event per model and optimizer."""
        for (kind, number), facts in self.latest.items():
            self.tracer.emit(kind, **{"optimizer" if kind == "held" else "model": number}, **facts)

    def _sum_up(self) -> None:
        owners = dict(self._owners())
        for number, model in self.tracer.all_of("model"):
            rows = [self._row(name, p, owners, owner) for name, p, owner in _named(model)]
            first = next(model.parameters(), None)
            place = {"device": first.device.type, "dtype": str(first.dtype)[6:]} if first is not None else {}
            name = type(getattr(model, "_orig_mod", model)).__name__
            self.latest["model", number] = {"name": name, "parameters": rows[:MOST], **place}
        for number, mine in self._held().items():
            reached = sum(self.seen.get(parameter, [0, 0, 0])[1] > 0 for parameter in mine)
            sole = sum(owners[parameter] == number for parameter in mine)
            self.latest["held", number] = {"parameters": len(mine), "reached": reached, "own": sole}

    def _held(self) -> dict[int, set[int]]:
        held: dict[int, set[int]] = {}
        for _, optimizer in self.tracer.all_of("optimizer"):
            mine = held.setdefault(self.tracer.optimizer(optimizer), set())
            mine |= {self.tracer.number("parameter", p)[0] for group in optimizer.param_groups for p in group["params"]}
        return held

    def _owners(self) -> Iterator[tuple[int, int]]:
        """Of several optimizers that hold a parameter, the one that stepped last has it."""
        held = self._held()
        for number in sorted(held, key=lambda number: (self.tracer.moved.get(number, -1), number)):
            yield from ((parameter, number) for parameter in held[number])

    def _row(self, name: str, parameter: nn.Parameter, owners: dict[int, int], owner: nn.Module) -> list[Any]:
        number = self.tracer.number("parameter", parameter)[0]
        _, reached, moved = self.seen.get(number, [0, 0, 0])
        called = id(owner) in self.tracer.called
        return [
            name, number, parameter.numel(), parameter.requires_grad, owners.get(number, -1), reached, moved, called
        ]  # fmt: skip


def _named(model: nn.Module) -> Iterator[tuple[str, nn.Parameter, nn.Module]]:
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            yield f"{prefix}.{name}" if prefix else name, parameter, module
