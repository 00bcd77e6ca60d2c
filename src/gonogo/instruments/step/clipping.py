"""What a run's own step makes of gradients of any size: the answer of its clipping.

Arriving gradients are multiplied by powers of two, which changes no digit, so what the optimizer holds in hand can be
compared with what arrived: equal below the limit, cut to it and in the same direction above.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gonogo.core.measurement import Cell
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.equivalence import cosine, relative_error
from gonogo.instruments.step import own_steps
from gonogo.instruments.step.own_steps import OwnSteps
from gonogo.training.session import Session

FAINT = 2.0**-20  # of the gradients as they are: below any limit
FEW = 24  # calls that a loss scaler may skip because a gradient is large


@dataclass(frozen=True, slots=True)
class Answer:
    """What the optimizer held at its step.

    Attributes:
        limit: The norm to which gradients are said to be clipped.
        arriving: Norm of what arrived.
        held: Norm of what the optimizer held.
        largest: Largest element of that.
        turned: One minus the cosine between the two.
        changed: Norm of the difference over that of what arrived.
        rounding: What the precision of the weights explains of these.
    """

    limit: float
    arriving: float
    held: float
    largest: float
    turned: float
    changed: float
    rounding: float

    @property
    def by_element(self) -> bool:
        """Was each element cut to the limit, and not the norm?"""
        return self.held > 1.01 * self.limit and abs(self.largest / self.limit - 1) < max(1e-4, self.rounding)

    def row(self) -> tuple[Cell, ...]:
        """limit, norm that arrived, norm at the step, largest element, change of direction."""
        return self.limit, self.arriving, self.held, self.largest, self.turned


def gradient(session: Session, factor: float) -> tuple[Tensor, float]:
    """(what the optimizer holds at its first step if arriving gradients are multiplied, rounding of its precision).

    Raises:
        NotApplicable: There is no such step, or not one optimizer's alone.
    """
    batches = session.batches("train", limit=max(session.claims.accumulation, 1))
    own = OwnSteps(session)
    own_steps.only_one(own)
    found = own.until_update(batches, factor=factor, patience=own_steps.PATIENCE if factor <= 1 else FEW)
    own_steps.refuse_closures(found)
    if not found:
        raise NotApplicable("there was no update, or none with large gradients")
    return found[0].gradient, max((torch.finfo(p.dtype).eps for p in own.held() if p.is_floating_point()), default=0.0)


def faint(session: Session) -> Tensor:
    """The gradient as it arrives, seen where no limit acts.

    Raises:
        NotApplicable: It is zero, or no number.
    """
    found = gradient(session, FAINT)[0] / FAINT
    if not float(found.norm()) or not math.isfinite(float(found.norm())):
        raise NotApplicable("the first update has no finite gradient")
    return found


def answers(session: Session, arriving: Tensor, limit: float, sizes: Sequence[float]) -> list[Answer]:
    """The answers to gradients whose norm is about each of these sizes, in limits."""
    return [_answer(session, arriving, limit, _power(size * limit / float(arriving.norm()))) for size in sizes]


def _answer(session: Session, arriving: Tensor, limit: float, factor: float) -> Answer:
    held, eps = gradient(session, factor)
    given = arriving * factor
    size, largest = float(held.norm()), float(held.abs().max())
    turned = max(0.0, 1.0 - cosine(held, given))
    return Answer(limit, float(given.norm()), size, largest, turned, relative_error(held, given), 4 * eps)


def _power(value: float) -> float:
    """The nearest power of two: multiplying by it rounds nothing."""
    return 2.0 ** round(math.log2(value))
