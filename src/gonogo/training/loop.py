"""The one reference optimizer step, and what any step needs when it is called more often than the run would."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer
from torch.optim.lr_scheduler import OneCycleLR

from gonogo.errors import SubjectError

Loss = Callable[[nn.Module, Any], Tensor]


def scalar_loss(loss: Loss, model: nn.Module, batch: Any) -> Tensor:
    """The loss as a 0-d tensor; a loss per sample is averaged.

    Raises:
        SubjectError: Something else than a tensor of numbers came back.
    """
    value = loss(model, batch)
    if not isinstance(value, Tensor):
        raise SubjectError(f"loss returned {type(value).__name__}; expected a tensor that backward() can start from")
    return value if value.dim() == 0 else value.mean()


def number(loss: object) -> float:
    """What the run's own step returned, as a number.

    Raises:
        SubjectError: It is none.
    """
    try:
        return float(loss.detach() if isinstance(loss, Tensor) else loss)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        raise SubjectError(f"step returned {type(loss).__name__}; expected the loss before the step") from None


def textbook_step(loss: Loss, model: nn.Module, optimizer: Optimizer, batch: Any) -> float:
    """Zero the gradients, forward, backward, step; the loss before the step."""
    if not isinstance(optimizer, Optimizer):
        raise SubjectError("with several optimizers only your own step knows their order: give Subject(step=...)")
    values: list[float] = []

    def closure() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        value = scalar_loss(loss, model, batch)
        if value.requires_grad:  # else nothing can be learned, which is for checks to find, not for us to crash on
            value.backward()
        values.append(float(value.detach()))
        return value.detach()

    if isinstance(optimizer, LBFGS):  # evaluates the loss several times within a step
        optimizer.step(closure)  # type: ignore[arg-type]
    else:
        closure()
        optimizer.step()
    return values[0]


@contextmanager
def past_the_end() -> Iterator[None]:
    """Within, a schedule that has come to its planned end keeps its last rate instead of raising.

    Only OneCycleLR refuses; a check may well take more steps than a short run plans.
    """
    rates = OneCycleLR.get_lr

    def held(self: OneCycleLR) -> list[float | Tensor]:
        if self.last_epoch < self.total_steps:
            return rates(self)
        return [group["lr"] for group in self.optimizer.param_groups]

    OneCycleLR.get_lr = held
    try:
        yield
    finally:
        OneCycleLR.get_lr = rates
