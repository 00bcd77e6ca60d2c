"""In evaluation the answer to one sample must not depend on its neighbours."""

from typing import Any

import torch
from torch import Tensor

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.rows import sample_rows
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[
        at_most(
            "leak", warn=1e-6, fail=1e-4, source="measured in float64: right models 1e-14 or less, mixing 1e-3 or more"
        )
    ],
    since="0.1",
)
def batch_mixing(session: Session) -> Observation:
    """Samples of a batch do not see each other | Samples of a batch see each other

    What: in evaluation mode and float64, the first sample of a batch is answered twice, each time among other
        neighbours. `leak` is the largest change of its output, relative to the size of the outputs.
    Why: a reshape in place of a transpose, a softmax over the wrong axis or batch_first forgotten let samples of one
        batch read each other. The loss still falls, and nothing of it holds at inference.
    Fix: look for view, reshape and permute around the batch axis, for dim= of softmax and mean, and for batch_first.
        If coupling is the idea (contrastive heads, set models), say so: Claims(couples_batch=True).
    Shapes: every output with the batch's rows on its first or second axis.
    Units: leak: 1.
    Source: A. Karpathy, A Recipe for Training Neural Networks (2019), "use backprop to chart dependencies".
    """
    if session.claims.couples_batch:
        raise NotApplicable("the subject claims that its samples depend on each other (couples_batch)")
    [batch] = session.batches("train", limit=1)
    rows = sample_rows(session, batch)
    dtype, seen = _answers(session, batch, rows)
    leaks = {path: _change(seen[0][path], seen[1].get(path), rows) for path in seen[0]}
    known = {path: leak for path, leak in leaks.items() if leak is not None}
    if not known:
        raise NotApplicable("no output has the rows of the batch")
    worst = max(known.values())
    # In float32 the arithmetic of other rows can move a row: then a small change is no evidence.
    low = 0.0 if dtype is not torch.float64 and worst < 1e-2 else None
    return Observation(
        {"leak": Measurement(worst, low=low, high=None if low is None else worst, n=rows)},
        (Table("Change of the first sample's output", ("output", "relative change"), tuple(known.items())),),
    )


def _answers(session: Session, batch: Any, rows: int) -> tuple[torch.dtype, list[dict[str, Tensor]]]:
    try:
        return torch.float64, _answers_in(session, batch, rows, torch.float64)
    except (RuntimeError, TypeError):  # the model insists on a precision of its own
        return torch.float32, _answers_in(session, batch, rows, None)


def _answers_in(session: Session, batch: Any, rows: int, dtype: torch.dtype | None) -> list[dict[str, Tensor]]:
    neighbours = [1, 2] if rows == 3 else [1, rows - 1]
    found = []
    with torch.no_grad(), evaluating(session.copy_model(dtype)) as model:
        for other in neighbours:
            chosen = nested.take_rows(nested.clone(batch), [0] + [other] * (rows - 1), rows)
            with seeding.seeded(session.seed):
                found.append(session.outputs(nested.to(chosen, dtype=dtype), model))
    return found


def _change(first: Tensor, second: Tensor | None, rows: int) -> float | None:
    if second is None or first.shape != second.shape:
        return None
    # With as many steps as rows both axes fit; the right one shows the smaller change.
    axes = [axis for axis in range(min(2, first.dim())) if first.shape[axis] == rows]
    changes = [_relative(first.select(axis, 0), second.select(axis, 0), first) for axis in axes]
    return min(changes, default=None)


def _relative(one: Tensor, two: Tensor, whole: Tensor) -> float:
    same = (one == two) | (torch.isnan(one) & torch.isnan(two))
    difference = torch.where(same, 0.0, (one - two).abs())
    finite = whole[torch.isfinite(whole)]
    scale = float(finite.abs().max()) if finite.numel() else 1.0
    return float(difference.max()) / (scale or 1.0) if difference.numel() else 0.0


@fault()
def rows_reshaped(subject: Subject) -> Subject:
    """The output is reshaped through its transpose, as a view in place of a permute does."""
    return subject.map_outputs(lambda output: output.transpose(0, 1).reshape(output.shape))


@fault()
def batch_mean_subtracted(subject: Subject) -> Subject:
    """The mean over the batch is subtracted in evaluation, too."""
    return subject.map_outputs(lambda output: output - output.mean(0, keepdim=True))
