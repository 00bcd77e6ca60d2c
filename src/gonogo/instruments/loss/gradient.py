"""The gradient of the declared loss at the session's own weights, by parameter, without an optimizer."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.instruments.answers import equivalence
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session


def loss_gradient(session: Session, model: nn.Module, batch: Any) -> dict[str, Tensor | None]:
    """The gradient of each trainable parameter in the model's own mode, under the session's seed."""
    model.zero_grad(set_to_none=True)
    with seeding.seeded(session.seed), torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch warns of here is what checks measure
        loss = session.loss(nested.clone(batch), model)
        if loss.requires_grad:
            loss.backward()
    return {
        name: None if p.grad is None else p.grad.detach().clone()
        for name, p in model.named_parameters()
        if p.requires_grad
    }


def vector(gradient: Mapping[str, Tensor | None], model: nn.Module) -> Tensor:
    """All of it as one vector, zeros where none arrived."""
    like = dict(model.named_parameters())
    return equivalence.flat(gradient.values(), [like[name] for name in gradient])


def noise(session: Session, batch: Any, *, training: bool = True) -> float:
    """What rounding, or chance that no seed reaches, does to the gradient (three passes)."""
    model = session.copy_model().train(training)
    again = session.copy_model().train(training)
    held = [p for p in model.parameters() if p.requires_grad and p.is_floating_point()]
    once = vector(loss_gradient(session, again, batch), again)
    results: list[Tensor] = []

    def compute() -> Tensor:
        results.append(vector(loss_gradient(session, model, batch), model))
        return results[-1]

    floor = equivalence.noise_floor(compute, held)
    return max(floor, equivalence.relative_error(results[0], once))


def differing(
    one: Mapping[str, Tensor | None], two: Mapping[str, Tensor | None], limit: float
) -> list[tuple[str, float]]:
    """(parameter, relative error) where two gradients differ by more than the limit, the largest first."""
    found: list[tuple[str, float]] = []
    for name, wanted in two.items():
        like = wanted if wanted is not None else one.get(name)
        if like is not None:
            seen, right = (equivalence.flat([each], [like]) for each in (one.get(name), wanted))
            found.append((name, equivalence.relative_error(seen, right)))
    return sorted(((n, e) for n, e in found if e > limit), key=lambda row: -row[1])
