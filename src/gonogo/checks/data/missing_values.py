"""One sample with nan is enough to turn every weight into nan."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from gonogo.audit import fields, samples
from gonogo.audit.intervals import wilson
from gonogo.audit.nonfinite import NonFinite
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Cell, Measurement, Observation, Table
from gonogo.errors import NotApplicable, SubjectError
from gonogo.training import batch as batches
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs=(C.TRAIN,),
    effort=Effort.READ,
    criteria=[at_most("missing", fail=0.0, source="exact: nan in, nan out")],
)
def missing_values(session: Session) -> Observation:
    """Every number in the data is finite | The data hold nan or infinity

    What: read all batches of train, and of valid if given, as training sees them, and count the samples with a value
        that is not finite. Fields that start as one of `Claims(missing=...)` are left out, and so are additive masks:
        fields with -inf whose finite values are all zero.
    Why: one nan spreads through loss and gradient to every weight in a single step. Losses that skip nan hide it and
        train on fewer samples than stated.
    Fix: the table names field and column. Mend the source, impute, or mask; if nan marks missing values which the
        loss masks, say so with Claims(missing=("field",)).
    Shapes: a column is the last axis of a field of shape (batch, column)
    Units: missing: {sample} (n: samples read)
    Source: Breck et al. 2019, Data Validation for Machine Learning, MLSys
    """
    names = [name for name in ("train", "valid") if name in session.subject.splits]
    seconds = 0.6 * session.seconds_left / len(names)
    with seeding.seeded(session.seed):
        parts = {name: _read(session, name, seconds) for name in names}
    value = sum(counted.samples() for counted, _, _ in parts.values())
    n = sum(read for _, read, _ in parts.values())
    unread = sum(left for _, _, left in parts.values())
    rows: list[tuple[Cell, ...]] = [
        (name, *found) for name, (counted, _, _) in parts.items() for found in counted.fields()
    ]
    # What was not read can hold as much as what was read does not rule out.
    high = value + wilson(value, n)[1] * unread if unread else None
    table = Table("Values that are not finite", ("split", "field", "column", "samples"), tuple(rows))
    return Observation(
        {"missing": Measurement(value, "{sample}", low=None if high is None else value, high=high, n=n)}, (table,)
    )


def _read(session: Session, name: str, seconds: float) -> tuple[NonFinite, int, int]:
    """The counts, the samples read, and the samples left (as many again where nobody knows)."""
    counted, read, end = NonFinite(session.claims.missing), 0, time.monotonic() + seconds
    loader = samples.loader_of(session, name)
    total = len(samples.indices_of(loader) or ())
    for batch in loader:
        rows = fields.rows_of(batch, session.claims) or 1
        counted.add(batch, rows)
        read += rows
        if time.monotonic() > end:
            return counted, read, max(total - read, 0) if total else read
    if not read:
        raise SubjectError(f"the split {name!r} has no batch; check its data set, batch size and drop_last")
    return counted, read, 0


def _poisoned(subject: Subject, split: str, value: float) -> Subject:
    """The first value of the first floating-point field of each batch is `value`."""
    first = next(iter(subject.splits[split].batches()), None) if split in subject.splits else None
    named = (path for path, leaf in batches.walk(first) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point())
    field = next(named, None)
    if field is None:
        raise NotApplicable(f"no field of the split {split!r} is a tensor of floating-point numbers")

    def poison(path: str, leaf: Any) -> Any:
        if path == field:
            leaf.view(-1)[0] = value
        return leaf

    def damaged(loader: Iterable[Any]) -> Iterator[Any]:
        for batch in loader:
            yield batches.map_leaves(poison, batches.clone(batch))

    return subject.map_split(split, lambda given: given.map(damaged))


@fault()
def one_nan(subject: Subject) -> Subject:
    """One value of each training batch is nan."""
    return _poisoned(subject, "train", torch.nan)


@fault(toy="regressor")
def infinite_values(subject: Subject) -> Subject:
    """One value of each validation batch is infinite."""
    return _poisoned(subject, "valid", -torch.inf)
