"""A model that is given the answer learns to copy it."""

from dataclasses import replace
from typing import Any

import torch
from torch.utils.data import DataLoader

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.data.columns import Columns, columns, equal_columns, explained, naming_columns
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_BITS = 40.0  # a column that equals the target by chance: once in 2^40


@check(
    needs={C.TRAIN},
    effort=Effort.READ,
    explains=("learning",),
    criteria=[
        at_most("target_columns", fail=0, source="exact: a column of the input is the target, in every sample read"),
        at_most("explained", warn=0.999, source="ours: some measured quantities do nearly determine the target"),
    ],
    since="0.2",
)
def target_in_input(session: Session, *, limit: int = 32) -> Observation:
    """The target is no column of the input | The target is a column of the input

    What: compares each column of the input with the target over `limit` training batches. `target_columns` counts
        columns that are the target, number by number, or together its classes as zeros and ones; `explained` is the
        largest share of a column's variance that the target explains, or of its order where the target is a decimal
        number; 1 of a column of ids (tokens, categories) with one id for each class. Asked only where a sample has one
        number or class as target, and several columns as input: autoencoders and language models, whose target is their
        input, are not meant.
    Why: a table that is joined with its answer, or a feature computed from it, gives perfect scores in every split, and
        nothing where the answer is not yet known.
    Fix: drop the column; then ask how it came there, and what else was joined with it.
    Shapes: inputs (sample, ...), targets (sample,) or (sample, 1).
    Units: target_columns: {column}; explained: 1 (n: samples).
    Source: Kaufman et al. 2012, Leakage in data mining, doi:10.1145/2382577.2382579.
    """
    found = columns(session, limit=limit)
    if found is None:
        raise NotApplicable("no sample has one number as target and several columns of numbers or ids as input")
    if _bits(found) < _BITS:
        raise NotApplicable("the targets that were read hold too little to tell a copy from chance")
    same = [(path, place) for path in found.inputs for place in equal_columns(found, path)]
    shares = {path: explained(found, path) for path in found.inputs}
    best = [(path, int(share.argmax()), float(share.max())) for path, share in shares.items()]
    best += [(path, place, 1.0) for path in found.ids for place in naming_columns(found, path)]
    rows = tuple((path, place, 1.0) for path, place in same) or tuple(best)
    n = len(found.target)
    return Observation(
        {
            "target_columns": Measurement(len(same), "{column}", n=n),
            "explained": Measurement(max((share for *_, share in best), default=0.0), n=n),
        },
        (Table("Columns that tell the target", ("field", "column", "share explained"), rows),),
    )


def _bits(found: Columns) -> float:
    """What the targets tell together, if each is drawn by itself."""
    counts = found.target.unique(return_counts=True)[1].double()
    shares = counts / counts.sum()
    return float(-(counts * shares.log2()).sum())


def _joined(subject: Subject, column: Any) -> Subject:
    def build() -> DataLoader[Any]:
        loader: Any = subject.splits["train"].batches()
        data = [(torch.cat([x, column(y)]), y) for x, y in loader.dataset]
        return DataLoader(data, loader.batch_size, shuffle=True)  # type: ignore[arg-type]

    return subject.map_split("train", lambda split: replace(split, batches=build))


@fault(toy="regressor")
def target_joined(subject: Subject) -> Subject:
    """The table of inputs still has the column of the target."""
    return _joined(subject, lambda y: y.reshape(1))


@fault(expect=Status.WARN, toy="regressor")
def target_in_other_units(subject: Subject) -> Subject:
    """One column is the target in other units, rounded."""
    return _joined(subject, lambda y: (y.reshape(1) * 2.54 + 1).mul(100).round() / 100)


@fault(expect=Status.WARN, toy="classifier")
def class_among_the_tokens(subject: Subject) -> Subject:
    """The collator writes the class in front of the tokens."""

    def build() -> DataLoader[Any]:
        loader: Any = subject.splits["train"].batches()
        data = [{**one, "features": _tokens(one["features"], one["label"])} for one in loader.dataset]
        return DataLoader(data, loader.batch_size, shuffle=True)  # type: ignore[arg-type]

    return subject.map_split("train", lambda split: replace(split, batches=build))


def _tokens(features: Any, label: Any) -> Any:
    return torch.cat([label.reshape(1) + 3, (features * 4).long() + 40])
