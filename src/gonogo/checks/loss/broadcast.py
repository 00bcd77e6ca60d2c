"""Predictions and targets of different shapes are compared all with all."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gonogo.audit import fields
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.loss.interception import VALUE_LOSSES, recorded
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_DIFFERENCES = ("sub", "__sub__", "__rsub__", "subtract", "rsub")


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    explains=("learning.", "gradient.", "loss."),
    criteria=[at_most("broadcast", fail=0, source="ours: (N, 1) against (N,) is N x N comparisons, never meant")],
    since="0.1",
)
def broadcast(session: Session) -> Observation:
    """Each prediction is compared with its own target | Predictions are compared with the targets of others

    What: watches mse_loss and its kin, and differences between something computed and a field of the batch, inside
        the loss. `broadcast` counts those where a column (N, 1) meets a row (N,), so that all N x N pairs are compared.
    Why: the best answer to that loss is the mean of all targets, for every sample. The loss falls to the variance of
        the targets and stays there; only a warning on stderr told.
    Fix: squeeze the prediction's last axis, or unsqueeze the target.
    Shapes: predictions and targets must have equal shapes.
    Units: broadcast: places.
    Source: pytorch.org mse_loss (its warning on sizes); ours.
    """
    [batch] = session.batches("train", limit=1)
    rows = _places(session, batch)
    size = nested.size(batch) or 0
    if rows and size > 2:
        # Centres or channels may be as many as samples by accident: then they stay when a sample goes.
        fewer = _places(session, nested.take_rows(batch, list(range(size - 1)), size))
        rows = rows if len(fewer) == len(rows) and all(a != b for a, b in zip(rows, fewer, strict=True)) else []
    return Observation(
        {"broadcast": Measurement(len(rows), "{place}")},
        (Table("Shapes that do not fit", ("where", "one side", "other side"), tuple(rows)),),
    )


def _places(session: Session, batch: Any) -> list[tuple[str, str, str]]:
    watch = _Differences()
    with watch:
        found = [call for call in recorded(session, session.copy_model(), batch)[0] if call.name in VALUE_LOSSES]
    found = [call for call in found if _column_meets_row(call.input, call.target)]
    rows = [(call.name, str(tuple(call.input.shape)), str(tuple(call.target.shape))) for call in found]
    return rows + [("difference", str(one), str(two)) for one, two in watch.found]


def _column_meets_row(one: Tensor, two: Tensor) -> bool:
    shapes = sorted((tuple(one.shape), tuple(two.shape)), key=len)
    row, column = shapes
    return len(row) == len(column) - 1 and column[-1] == 1 and column[:-1] == row and row[-1] > 1


class _Differences(TorchFunctionMode):
    """Differences of a column with gradient and a row without one (or the other way round)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in _DIFFERENCES and len(args) > 1:
            one, two = args[:2]
            if isinstance(one, Tensor) and isinstance(two, Tensor) and self._is_loss(one, two):
                self.found.append((tuple(one.shape), tuple(two.shape)))
        return func(*args, **(kwargs or {}))

    def _is_loss(self, one: Tensor, two: Tensor) -> bool:
        learned = one.requires_grad != two.requires_grad
        return learned and torch.is_floating_point(one) and _column_meets_row(one, two)


@fault(toy="regressor")
def column_of_targets(subject: Subject) -> Subject:
    """The target keeps an axis that the prediction has not."""

    def column(model: nn.Module, batch: Any, loss: Callable[..., Tensor]) -> Tensor:
        target = fields.roles(batch, subject.claims).target
        if not isinstance(target, Tensor) or target.dim() != 1 or not target.is_floating_point():
            raise NotApplicable("the target is no single number per sample")
        kept = nested.map_leaves(lambda _, leaf: leaf.unsqueeze(-1) if leaf is target else leaf, batch)
        return loss(model, kept)

    return subject.map_loss(lambda loss: lambda model, batch: column(model, batch, loss))
