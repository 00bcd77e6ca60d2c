"""The loss with the model's answers held fixed: what it still reacts to are targets, weights and dice."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.entry import entry
from gonogo.training.session import Session, evaluating


def value(session: Session, model: nn.Module, batch: Any, seed: int = 1) -> float:
    """The loss in evaluation mode under a seed."""
    with torch.no_grad(), evaluating(model), seeding.seeded(seed):
        return float(session.loss(nested.clone(batch), model))


def answers(session: Session, model: nn.Module, batch: Any, seed: int = 1) -> list[Any]:
    """What the model's calls return while the loss runs in evaluation mode under a seed."""
    calls: list[Any] = []
    handle = entry(model).register_forward_hook(lambda module, inputs, output: calls.append(nested.clone(output)))
    try:
        value(session, model, batch, seed)
    finally:
        handle.remove()
    return calls


@contextmanager
def answering(model: nn.Module, given: list[Any]) -> Iterator[None]:
    """The calls of the model return `given` in turn, and from its start again, whatever goes in."""
    count = [0]

    def answer(*_: Any) -> Any:
        count[0] += 1
        return nested.clone(given[(count[0] - 1) % len(given)])

    handle = entry(model).register_forward_hook(answer)
    try:
        yield
    finally:
        handle.remove()


def equal(one: Any, two: Any) -> bool:
    """Do both have the same tensors in the same places, bit for bit?"""
    first, second = nested.tensors(one), nested.tensors(two)
    return first.keys() == second.keys() and all(torch.equal(first[path], second[path]) for path in first)


def neighbours(rows: int) -> list[int]:
    """An order of rows in which every second one is replaced by the next: no permutation, so that means change too."""
    return [min(row + 1, rows - 1) if row % 2 == 0 else row for row in range(rows)]
