"""Micro-batches: how many rows, how long, how many for one update."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from gonogo.errors import SubjectError
from gonogo.sizing.card import fake_card
from gonogo.sizing.card.tape import unseen
from gonogo.sizing.programs.program import Program, samples


def accumulate(program: Program, micro: int) -> Program:
    """So many micro-batches for one update.

    Raises:
        SubjectError: The program has its own step.
    """
    if program.update is not None:
        raise SubjectError(
            f"accumulate={micro}: {program.name} has its own step, which decides that; change it there, or leave it out"
        )
    return replace(program, micro=micro)


def rows(program: Program, wanted: int) -> Program:
    """So many rows in a micro-batch: the first dimension of every tensor that has as many as the first tensor."""
    with fake_card.card():
        before = samples(program.batch())

    def resized(tensor: Tensor) -> Tensor:
        if tensor.dim() == 0 or tensor.shape[0] != before:
            return tensor
        return tensor.new_empty((wanted, *tensor.shape[1:]))

    return _batches(program, resized, wanted / before)


def length(program: Program, wanted: int) -> Program:
    """Sequences of so many positions: the second dimension of every tensor that has that of the tokens.

    Raises:
        SubjectError: No tensor of the batch is of whole numbers with rows and positions.
    """
    with fake_card.card():
        leaves = [leaf for leaf in tree_leaves(program.batch()) if isinstance(leaf, Tensor)]
    tokens = [leaf.shape for leaf in leaves if leaf.dim() == 2 and not leaf.is_floating_point()]
    if not tokens:
        shapes = ", ".join(str(tuple(leaf.shape)) for leaf in leaves) or "no tensor"
        raise SubjectError(
            f"sequence={wanted}: the batch has {shapes}; expected tokens, whole numbers of shape (rows, positions)"
        )
    before = tokens[0]

    def resized(tensor: Tensor) -> Tensor:
        if tensor.dim() < 2 or tensor.shape[:2] != before:
            return tensor
        return tensor.new_empty((tensor.shape[0], wanted, *tensor.shape[2:]))

    counted = program.tokens == before[0] * before[1]
    return _batches(program, resized, wanted / before[1] if counted else 1.0)


def _batches(program: Program, resized: Callable[[Tensor], Tensor], factor: float) -> Program:
    def batch() -> Any:
        with unseen():
            return tree_map(lambda leaf: resized(leaf) if isinstance(leaf, Tensor) else leaf, program.batch())

    return replace(program, batch=batch, tokens=max(1, round(program.tokens * factor)))
