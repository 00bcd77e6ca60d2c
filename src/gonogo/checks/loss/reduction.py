"""A mean does not care how large the batch is."""

import torch

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.frozen_answers import value
from gonogo.instruments.answers.rows import sample_rows
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

SMALL = 1e-3  # losses nearer to zero than that have no ratio


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[
        at_most(
            "growth", warn=1.8, source="ours: a mean stays, a sum doubles; sums are meant in some runs, so a warning"
        )
    ],
    since="0.1",
)
def reduction(session: Session) -> Observation:
    """The loss is a mean over the batch | The loss grows with the batch

    What: gives every sample of a batch twice, in evaluation mode. `growth` is the loss of the doubled batch divided by
        that of the batch.
    Why: a sum ties the learning rate, the clipping and the weights of other terms to the batch size: the last, smaller
        batch counts less, another machine's batch size trains another model.
    Fix: reduction="mean", or divide by the number of samples (or of tokens that count).
    Shapes: any batch whose rows are samples.
    Units: growth: 1.
    Source: TheDeepChecker (Ben Braiek and Khomh, 2022), poor reduction.
    """
    if session.claims.couples_batch:
        raise NotApplicable("the subject claims that its samples depend on each other (couples_batch)")
    [batch] = session.batches("train", limit=1)
    rows, model = sample_rows(session, batch), session.copy_model()
    doubled = nested.take_rows(batch, [*range(rows), *range(rows)], rows)
    try:
        once, twice = value(session, model, batch), value(session, model, doubled)
    except (RuntimeError, ValueError, IndexError):
        raise NotApplicable("the model takes no batch of twice the size") from None
    if not abs(once) > SMALL or not torch.isfinite(torch.tensor(twice)):
        raise NotApplicable("the loss is too near to zero for a ratio")
    return Observation(
        {"growth": Measurement(twice / once, n=rows)},
        (Table("Loss", ("samples", "loss"), ((rows, once), (2 * rows, twice))),),
    )


@fault(expect=Status.WARN)
def summed(subject: Subject) -> Subject:
    """The loss is summed over the batch."""
    return subject.map_loss(lambda loss: lambda model, batch: loss(model, batch) * (nested.size(batch) or 1))
