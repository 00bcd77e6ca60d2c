"""In evaluation the answer to one sample must not depend on its neighbours."""

import re
from typing import Any

import torch
from torch import Tensor

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.rows import sample_rows
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject

_EXPERTS = re.compile(r"expert|router|moe")


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

    What: in evaluation mode and float64, the first and the last sample of a batch are answered twice, each time
        among other neighbours. `leak` is the largest change of their output, relative to the size of the outputs.
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
    known: list[tuple[int, str, float]] = []
    dtype = torch.float64
    # What slides along the batch leaves its first sample alone; experts that are full turn away the last by design.
    full = any(_EXPERTS.search(name.lower()) for name, _ in session.model.named_modules())
    for place in (0,) if full else (0, rows - 1):
        dtype, seen = _answers(session, batch, rows, place)
        leaks = {path: _change(seen[0][path], seen[1].get(path), rows, place) for path in seen[0]}
        known += [(place, path, leak) for path, leak in leaks.items() if leak is not None]
    if not known:
        raise NotApplicable("no output has the rows of the batch")
    worst = max(leak for _, _, leak in known)
    # In float32 the arithmetic of other rows can move a row: then a small change is no evidence.
    low = 0.0 if dtype is not torch.float64 and worst < 1e-2 else None
    return Observation(
        {"leak": Measurement(worst, low=low, high=None if low is None else worst, n=rows)},
        (Table("Change of a sample's output", ("row", "output", "relative change"), tuple(known)),),
    )


def _answers(session: Session, batch: Any, rows: int, place: int) -> tuple[torch.dtype, list[dict[str, Tensor]]]:
    try:
        return torch.float64, _answers_in(session, batch, rows, place, torch.float64)
    except (RuntimeError, TypeError):  # the model insists on a precision of its own
        return torch.float32, _answers_in(session, batch, rows, place, None)


def _answers_in(
    session: Session, batch: Any, rows: int, place: int, dtype: torch.dtype | None
) -> list[dict[str, Tensor]]:
    others = [row for row in range(rows) if row != place]
    found = []
    with torch.no_grad(), evaluating(session.copy_model(dtype)) as model:
        for other in (others[0], others[-1]):
            chosen = [place if row == place else other for row in range(rows)]
            with seeding.seeded(session.seed):
                found.append(
                    session.outputs(nested.to(nested.take_rows(nested.clone(batch), chosen, rows), dtype=dtype), model)
                )
    return found


def _change(first: Tensor, second: Tensor | None, rows: int, place: int) -> float | None:
    if second is None or first.shape != second.shape:
        return None
    # With as many steps as rows both axes fit; the right one shows the smaller change.
    axes = [axis for axis in range(min(2, first.dim())) if first.shape[axis] == rows]
    changes = [_relative(first.select(axis, place), second.select(axis, place), first) for axis in axes]
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


@fault()
def rows_slide(subject: Subject) -> Subject:
    """Each sample gets something of the one before, and the first nothing."""
    return subject.map_outputs(lambda output: torch.cat([output[:1], output[1:] + 0.1 * output[:-1]]))
