"""Losses that fall without end, whichever way an output of the model goes: a squared term with the wrong sign."""

from typing import Any

import torch
from torch import Tensor, nn

from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.entry import entry
from gonogo.training.session import Session

FACTORS = (1.0, 1e2, 1e4)  # times the size of the output
FASTER = 1e3  # over a hundred times the way: 100 is a line, 10000 a square
SAMPLES = 6  # that are moved alone

Place = tuple[int, int | None]  # which output, and which sample of it: all of them


def boundless(session: Session, model: nn.Module, batch: Any) -> list[str]:
    """Outputs of the model's calls that lower the loss without end when they grow in a random direction and against it.

    Errors, divergences and penalties rise both ways; critics fall one way only; scores weighted with rewards fall as a
    line does, or in some samples only.
    """
    plain = _loss(session, model, batch, (-1, None), 0.0)
    if plain is None:
        return []
    rows = (None, *range(SAMPLES))
    places = [[(place, row) for row in rows] for place in range(len(plain[1]))]
    return [
        path
        for path, ways in zip(plain[1], places, strict=True)
        if all(_falls(session, model, batch, way) for way in ways)
    ]


def _falls(session: Session, model: nn.Module, batch: Any, place: Place) -> bool:
    for sign in (1.0, -1.0):
        values = []
        for factor in FACTORS:
            found = _loss(session, model, batch, place, sign * factor)
            if found is None or found[0] != found[0] or (values and not found[0] < values[-1]):
                return False  # not a number, or no longer falling
            values.append(found[0])
        near, far = values[0] - values[1], values[1] - values[2]
        if not far > FASTER * near > 0:
            return False
    return True


def _loss(
    session: Session, model: nn.Module, batch: Any, place: Place, factor: float
) -> tuple[float, list[str]] | None:
    """The loss with one output moved by `factor` times its size in a random direction, and the names of outputs."""
    names: list[str] = []

    def moved(module: nn.Module, inputs: Any, output: Any) -> Any:
        leaves = [(path, leaf) for path, leaf in nested.tensors(output).items() if leaf.is_floating_point()]
        start = len(names)
        names.extend(path or "output" for path, _ in leaves)
        if not start <= place[0] < len(names):
            return None
        leaf = leaves[place[0] - start][1]
        generator = torch.Generator().manual_seed(seeding.derive(session.seed, "boundless"))
        way = torch.randn(leaf.shape, generator=generator).to(leaf)
        if place[1] is not None and leaf.dim():
            way[torch.arange(len(way)) != place[1] % len(way)] = 0
        scale = max(float(leaf.detach().abs().nan_to_num().mean()), 1e-3)
        return _replaced(output, leaf, leaf + factor * scale * way)

    try:
        handle = entry(model).register_forward_hook(moved)
    except RuntimeError:  # TorchScript takes no hooks
        return None
    try:
        with torch.no_grad(), seeding.seeded(seeding.derive(session.seed, "boundless", 1)):
            return float(session.loss(nested.clone(batch), model)), names
    except (ValueError, RuntimeError, ArithmeticError, AssertionError):  # numbers that the loss refuses
        return None
    finally:
        handle.remove()


def _replaced(output: Any, old: Tensor, new: Tensor) -> Any:
    if output is old:
        return new
    if isinstance(output, dict):
        made = output.copy()
        for key, value in output.items():
            made[key] = _replaced(value, old, new)
        return made
    if type(output) in (list, tuple):
        return type(output)(_replaced(value, old, new) for value in output)
    return type(output)(*(_replaced(value, old, new) for value in output)) if isinstance(output, tuple) else output
