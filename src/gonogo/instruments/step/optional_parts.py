"""Parts of a library's model that a training has no use for: a pooler, a second tower, an auxiliary head."""

import math
import sys
from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from gonogo.instruments.step.training_steps import cycled
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.blame import is_library
from gonogo.training.session import Session

BATCHES = 2
NOISE = 10.0  # times what the loss of the same weights differs from call to call
_OWN = ("torch", "gonogo", "gonogo_recipes")  # what torch's modules hold, and our toys, somebody put there


def optional(session: Session, idle: Collection[str]) -> frozenset[str]:
    """Of parameters without gradient, those that a library put there and that the loss does not depend on.

    Where the loss changes with a parameter that gets no gradient, a graph is cut, whoever wrote the class. The
    session's weights are changed by it.
    """
    learning = {name for name, one in session.model.named_parameters() if one.requires_grad} - set(idle)
    found = frozenset(name for name in idle if _installed(_owner(session.model, name, learning)))
    return found if found and not _matter(session, found) else frozenset()


def _owner(model: nn.Module, name: str, learning: Collection[str]) -> nn.Module | None:
    """The module that has the largest idle part around a parameter as its attribute; containers are their owner's."""
    places = name.split(".")
    paths = [".".join(places[:count]) for count in range(len(places))]
    around = [path for path in paths if any(other.startswith(f"{path}.".lstrip(".")) for other in learning)]
    owners = (model.get_submodule(path) for path in reversed(around))
    return next((one for one in owners if type(one).__module__ != "torch.nn.modules.container"), None)


def _installed(module: nn.Module | None) -> bool:
    """Is its class that of an installed package?"""
    name = type(module).__module__
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and name.partition(".")[0] not in _OWN and is_library(file)


def _matter(session: Session, names: Collection[str]) -> bool:
    """Does the loss change with these parameters, by more than it does by itself?"""
    batches: list[Any] = cycled(session, BATCHES)
    first, again = ([_loss(session, batch) for batch in batches] for _ in range(2))
    with torch.no_grad(), seeding.seeded(session.seed):
        for name in names:
            parameter = session.model.get_parameter(name)
            parameter.add_(torch.randn_like(parameter))
    other = [_loss(session, batch) for batch in batches]
    rows = zip(first, again, other, strict=True)
    return any(not math.isclose(a, c, rel_tol=0.0, abs_tol=NOISE * abs(a - b)) for a, b, c in rows)


def _loss(session: Session, batch: Any) -> float:
    with torch.no_grad(), seeding.seeded(session.seed):
        return float(session.loss(nested.clone(batch), session.model.train()))
