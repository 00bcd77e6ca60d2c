"""A few optimizer steps under observation: which parameters get gradients, and how large they are."""

from dataclasses import dataclass, field

import torch
from torch import nn

from gonogo.instruments.memo import instrument
from gonogo.training.session import Session, all_of


@dataclass(frozen=True, slots=True)
class Trace:
    """What was seen of one parameter over the observed steps."""

    name: str
    norms: tuple[float | None, ...]  # of the gradient at each step; None: no gradient arrived
    weight: float  # norm of the parameter before the first step
    shape: tuple[int, ...]

    @property
    def unreached(self) -> bool:
        """No gradient arrived at any step."""
        return all(norm is None for norm in self.norms)

    @property
    def silent(self) -> bool:
        """Gradients arrived, and all of them were exactly zero."""
        return not self.unreached and all(norm in (None, 0.0) for norm in self.norms)


@dataclass(frozen=True, slots=True)
class Steps:
    """The observed steps."""

    losses: tuple[float, ...]
    traces: tuple[Trace, ...] = field(default=())


@instrument
def training_steps(session: Session, *, steps: int = 3) -> Steps:
    """Losses and gradients of `steps` optimizer steps; takes them on the session's own model, so FIT checks only.

    Gradients are read inside the optimizer's step, where the run's own step function has them ready: before
    that they may not be there yet, after it they may be cleared.
    """
    model, optimizer = session.model, session.optimizer
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    weights = {name: float(parameter.detach().norm()) for name, parameter in trainable.items()}
    norms: dict[str, list[float | None]] = {name: [] for name in trainable}

    def look(optimizer: object, *_: object) -> None:
        if getattr(optimizer, "found_inf", 0):  # a loss scaler tells a fused optimizer to skip this step
            return
        for name, parameter in trainable.items():
            norms[name].append(gradient_norm(parameter))

    handles = [one.register_step_pre_hook(look) for one in all_of(optimizer)]
    try:
        losses = [session.step(batch) for batch in cycled(session, steps)]
    finally:
        for handle in handles:
            handle.remove()
    traces = (Trace(n, tuple(norms[n]), weights[n], tuple(p.shape)) for n, p in trainable.items())
    return Steps(tuple(losses), tuple(traces))


def cycled(session: Session, steps: int) -> list[object]:
    """`steps` training batches; from the start again where the split has fewer."""
    batches = session.batches("train", limit=steps)
    return [batches[index % len(batches)] for index in range(steps)]


def until_updates(session: Session, updates: int, *, patience: int = 40) -> int:
    """Takes steps on the session's own model until its optimizers have stepped as often; how often they have.

    A scaler that skips its first steps and a window of accumulation only take longer.
    """
    done: list[int] = []
    handles = [one.register_step_post_hook(lambda *_: done.append(1)) for one in all_of(session.optimizer)]
    wanted = updates * len(handles)
    try:
        for batch in cycled(session, patience):
            if len(done) >= wanted or session.seconds_left < 0:
                break
            session.step(batch)
    finally:
        for handle in handles:
            handle.remove()
    return len(done)


def gradient_norm(parameter: nn.Parameter) -> float | None:
    """Norm of the gradient, None if there is none."""
    gradient = parameter.grad
    if gradient is None:
        return None
    dense = gradient.coalesce().values() if gradient.is_sparse else gradient
    size = dense.detach().abs() if dense.is_complex() else dense.detach()
    # The squares of a large gradient overflow in float32; not every device has float64.
    wide = torch.float32 if size.is_mps else torch.float64
    return float(torch.linalg.vector_norm(size, dtype=wide))
