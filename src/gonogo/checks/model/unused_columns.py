"""A column of a table that changes neither an answer nor the loss is read by nobody."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.recorded_call import wake
from gonogo.instruments.answers.rows import sample_rows
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject

_WIDEST = 64  # columns of features
_MOST_IDS = 8  # columns of ids: more are a sequence
_TRIES = 10  # exchanges
_SHAKE = 0.05  # relative to each weight: a column must not be dead by a weight of zero


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[at_most("unused", warn=0, source="exact, but a column may be there for the log, or left out on purpose")],
    explains=("learning.",),
    since="0.2",
)
def unused_columns(session: Session) -> Observation:
    """Every column of a table is read | Columns of a table are read by nobody

    What: exchanges single columns of narrow fields [samples, columns] among the samples, in evaluation mode, with
        weights that are all moved a little. `unused` counts columns that differ between samples and leave the loss
        equal bit for bit, while other columns of the field change it.
    Why: a slice taken twice (x[:, :4] and x[:, :4]), ids[:, 0] for user and film: shapes agree and the loss falls on
        what is left.
    Fix: compare the slices and indices in forward with the columns of the table; leave out at the data set what is not
        meant to be read.
    Shapes: features [b, k], k up to 64; ids [b, k], k up to 8.
    Units: columns.
    Source: torchtest (unused inputs); ours.
    """
    [batch] = session.batches("train", limit=1)
    rows, model = sample_rows(session, batch), session.copy_model()
    wake(model, session.seed)
    _shake(model, session.seed)
    fields = {path: leaf for path, leaf in nested.tensors(batch).items() if _is_table(leaf, rows)}
    if not fields:
        raise NotApplicable("no field of the batch has a few columns that differ between its samples")
    found: list[tuple[str, int]] = []
    base = _loss(session, model, batch)
    for path, field in fields.items():
        differing = [k for k in range(field.shape[1]) if not torch.equal(field[:, k], _exchanged(field)[:, k])]
        suspects = _silent(session, model, batch, path, differing)
        dead = _dead(session, model, batch, path, suspects, base)
        found += [(path, column) for column in dead] if len(dead) < len(differing) else []
    return Observation(
        {"unused": Measurement(len(found), "{column}", n=sum(field.shape[1] for field in fields.values()))},
        (Table("Columns that nobody reads", ("field", "column"), tuple(found)),),
    )


def _is_table(leaf: Tensor, rows: int) -> bool:
    if leaf.dim() != 2 or len(leaf) != rows or leaf.layout is not torch.strided or leaf.dtype is torch.bool:
        return False
    return 2 <= leaf.shape[1] <= (_WIDEST if leaf.is_floating_point() else _MOST_IDS)


def _exchanged(field: Tensor) -> Tensor:
    return field.roll(max(1, len(field) // 2), 0)


def _shake(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seeding.derive(seed, "shake"))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point() and parameter.numel() > 1:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter += (_SHAKE * parameter.abs().mean() * noise).to(parameter)


def _loss(session: Session, model: nn.Module, batch: Any) -> float:
    with torch.no_grad(), evaluating(model), seeding.seeded(session.seed):
        return float(session.loss(nested.clone(batch), model))


def _silent(session: Session, model: nn.Module, batch: Any, path: str, columns: list[int]) -> list[int]:
    """The columns without a gradient; all of them where the field has none."""
    leaf = nested.tensors(batch)[path]
    if not leaf.is_floating_point():
        return columns
    watched = leaf.clone().requires_grad_()
    given = nested.map_leaves(lambda name, value: watched if name == path else value, nested.clone(batch))
    try:
        with evaluating(model), seeding.seeded(session.seed):
            [gradient] = torch.autograd.grad(session.loss(given, model), [watched], allow_unused=True)
    except RuntimeError:  # changed in place, or read as numbers
        return columns if len(columns) <= _MOST_IDS else []
    return columns if gradient is None else [k for k in columns if not bool(gradient[:, k].any())]


def _dead(session: Session, model: nn.Module, batch: Any, path: str, suspects: list[int], base: float) -> list[int]:
    """Those whose exchange leaves the loss as it is: tried together, then in halves."""
    waiting, dead = [suspects] if suspects else [], []
    for _ in range(_TRIES):
        if not waiting:
            break
        group = waiting.pop()
        if _unmoved(session, model, batch, path, group, base):
            dead += group
        elif len(group) > 1:
            waiting += [group[: len(group) // 2], group[len(group) // 2 :]]
    return sorted(dead)


def _unmoved(session: Session, model: nn.Module, batch: Any, path: str, columns: list[int], base: float) -> bool:
    field = nested.tensors(batch)[path].clone()
    field[:, columns] = _exchanged(field)[:, columns]
    try:
        return (
            _loss(session, model, nested.map_leaves(lambda name, leaf: field if name == path else leaf, batch)) == base
        )
    except Exception:  # what refuses other values has read them
        return False


@fault(expect=Status.WARN)
def column_read_twice(subject: Subject) -> Subject:
    """The first feature is read in place of the second one too."""

    def doubled(loss: Any) -> Any:
        return loss and (lambda model, batch: loss(model, {**batch, "features": _doubled(batch["features"])}))

    return replace(subject, loss=doubled(subject.loss), predict=doubled(subject.predict))


def _doubled(features: Tensor) -> Tensor:
    return torch.cat([features[:, :1], features[:, :1], features[:, 2:]], 1)
