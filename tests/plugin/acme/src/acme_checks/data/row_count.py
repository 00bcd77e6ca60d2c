"""Acme does not start a training run on a handful of rows."""

from itertools import islice

from gonogo.core.capability import Capability
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_least
from gonogo.core.measurement import Measurement, Observation
from gonogo.training.batch import size
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={Capability.TRAIN},
    effort=Effort.READ,
    criteria=[at_least("rows", fail=100, source="policy of Acme")],
    since="1.0",
)
def row_count(session: Session, *, batches: int = 1000) -> Observation:
    """There are rows enough | There are too few rows

    What: `rows` counts the rows of the first `batches` training batches.
    Why: on a handful of rows every score is luck.
    Fix: look for a filter that removes too much, or collect more.
    Shapes: any batch.
    Units: rows: {row}.
    Source: policy of Acme.
    """
    rows = sum(size(batch) or 0 for batch in islice(session.loader("train"), batches))
    return Observation({"rows": Measurement(rows, "{row}")})


@fault()
def one_batch(subject: Subject) -> Subject:
    """A filter leaves one batch."""
    return subject.map_split("train", lambda split: split.map(lambda loader: islice(loader, 1)))
