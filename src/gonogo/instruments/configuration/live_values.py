"""The hyperparameters that the live objects have while training steps are taken."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from gonogo.instruments.memo import instrument
from gonogo.instruments.step.training_steps import cycled
from gonogo.training import batch as nested
from gonogo.training.session import Session, all_of


@dataclass(frozen=True, slots=True)
class Live:
    """What was seen at the optimizer steps: values of all groups, gradients and layers."""

    groups: dict[str, tuple[float, ...]]  # of each hyperparameter, the distinct values at the first update
    moving: bool  # did a learning rate change within the observed steps?
    scheduler: str  # class of the scheduler, empty if there is none
    norms: tuple[float, ...]  # of the whole gradient at each update
    largest: tuple[float, ...]  # element of the gradient, by size, at each update
    dropout: tuple[float, ...]  # distinct probabilities of the dropout layers
    batch: int | None  # rows of a batch, as the loader says, else as the first batch has them
    optimizers: int = field(default=1)


@instrument
def live_values(session: Session, *, updates: int = 4) -> Live:
    """The values in use; takes optimizer steps on the session's own model, so FIT checks only."""
    model, optimizer = session.model, session.optimizer
    scheduler = session.parts(model, optimizer).get("scheduler")
    seen: list[dict[str, set[float]]] = []
    norms: list[tuple[float, float]] = []

    def look(one: Any, *_: object) -> None:
        seen.append(_groups(one))
        norms.append(_norm(one))

    handles = [one.register_step_pre_hook(look) for one in all_of(optimizer)]
    try:
        for batch in cycled(session, min(24, updates * max(1, session.claims.accumulation))):
            session.step(batch)
    finally:
        for handle in handles:
            handle.remove()
    first = seen[0] if seen else {}
    return Live(
        groups={name: tuple(sorted(values)) for name, values in first.items()},
        moving=any(each.get("lr") != first.get("lr") for each in seen),
        scheduler=type(scheduler).__name__ if scheduler is not None else "",
        norms=tuple(norm for norm, _ in norms),
        largest=tuple(largest for _, largest in norms),
        dropout=tuple(sorted(_dropout(model))),
        batch=_rows(session),
        optimizers=len(all_of(optimizer)),
    )


def _groups(optimizer: Any) -> dict[str, set[float]]:
    found: dict[str, set[float]] = {}
    for group in optimizer.param_groups:
        for name, value in group.items():
            if isinstance(value, int | float | torch.Tensor) and not isinstance(value, bool):
                found.setdefault(name, set()).add(float(value))
            elif name == "betas" and isinstance(value, tuple | list):
                for place, beta in enumerate(value, 1):
                    found.setdefault(f"beta{place}", set()).add(float(beta))
    return found


def _norm(optimizer: Any) -> tuple[float, float]:
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    dense = [(g.coalesce().values() if g.is_sparse else g).detach().double() for g in gradients if g.numel()]
    if not dense:
        return 0.0, 0.0
    return float(torch.stack([g.norm() for g in dense]).norm()), max(float(g.abs().max()) for g in dense)


def _dropout(model: nn.Module) -> set[float]:
    drops = {float(m.p) for m in model.modules() if isinstance(m, nn.modules.dropout._DropoutNd)}
    kept = (m.dropout for m in model.modules() if isinstance(m, nn.MultiheadAttention | nn.RNNBase))
    return drops | {float(p) for p in kept}


def _rows(session: Session) -> int | None:
    loader = session.loader("train")
    told = loader.batch_size if isinstance(loader, DataLoader) else None
    return told or nested.size(session.batches("train", limit=1)[0])
