"""Optimizers that are built, get gradients, and are never stepped, while others of the same run are."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gonogo.core.measurement import Measurement
from gonogo.instruments.step.own_steps import PATIENCE, OwnSteps
from gonogo.training.session import Session

EPOCHS = 2  # one that starts in the second epoch is seen to start
LONGEST = 1000  # calls

Weights = list[list[Tensor]]


def weights(own: OwnSteps) -> Weights:
    """Copies of what each optimizer holds; of one optimizer none, for nobody asks."""
    many = len(own.optimizers) > 1
    return [[p.detach().clone() for p in own.held(index)] for index in range(len(own.optimizers)) if many]


def optimizers(session: Session, own: OwnSteps, start: Weights) -> Measurement:
    """How many never step; they are given two epochs and the widest window, for runs have phases."""
    if not start or not own.updates:
        return Measurement(0, "{optimizer}", n=len(own.optimizers))
    epoch = _epoch(session)
    calls = min(PATIENCE + EPOCHS * (epoch or 0), LONGEST)
    if idle := _idle(session, own, start):
        batches = session.batches("train", limit=PATIENCE)
        while idle and own.calls < calls and session.seconds_left > 0:
            own.call(batches[own.calls % len(batches)])
            idle = _idle(session, own, start)
    sure = epoch is not None and own.calls >= max(EPOCHS * epoch, PATIENCE)
    return Measurement(len(idle), "{optimizer}", low=len(idle) if sure else 0, n=len(own.optimizers))


def _idle(session: Session, own: OwnSteps, start: Weights) -> list[int]:
    stepped = {update.optimizer for update in own.updates}
    names = {id(parameter): name for name, parameter in own.model.named_parameters()}

    def untouched(held: Sequence[Tensor], before: Sequence[Tensor]) -> bool:
        return all(torch.equal(now.detach(), then) for now, then in zip(held, before, strict=True))

    return [
        index
        for index, optimizer in enumerate(own.optimizers)
        if index not in stepped
        and own.pushed[index]
        and any(float(group.get("lr", 1.0)) for group in optimizer.param_groups)
        and not all(names.get(id(p), "").startswith(session.claims.frozen or (".",)) for p in own.held(index))
        and untouched(own.held(index), start[index])
    ]


def _epoch(session: Session) -> int | None:
    loader = session.loader("train")
    try:
        return len(loader)  # type: ignore[arg-type]
    except TypeError:  # a stream has no length
        return None
