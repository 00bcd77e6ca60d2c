"""Row i of every field must be sample i."""

from typing import Any

import torch
from torch.utils.data import DataLoader

from gonogo.audit import layouts
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import SubjectError
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Split, Subject


@check(
    needs=(C.TRAIN,),
    effort=Effort.READ,
    criteria=[at_most("short_fields", fail=0.0, source="exact: rows that are not there cannot be matched to samples")],
)
def batch_rows(session: Session, *, limit: int = 8) -> Observation:
    """Every field of a batch has all of its rows | Fields of a batch lack rows

    What: collate `limit` batches of each split, the ragged last one and one of a smaller size among them, and compare
        the leading size of each field with the number of samples. `short_fields` counts the fields with fewer rows in
        some batch, pictures of shape (1, k * samples, ...) among them. Left alone are sizes that never change (weights
        per class, edge lists, broadcast masks), fields with more rows than samples (nodes, tokens), axes of time, lists
        of positions, and fields whose rows a mask, an index or a marker token assigns to samples.
    Why: a collate function that stacks only the samples that have a stream moves all later rows up. The model then
        pairs the picture of one sample with the text and the target of another, without any error.
    Fix: stack one row per sample, with zeros and a mask where the stream is missing.
    Shapes: fields: (batch, ...)
    Units: short_fields: {field} (n: batches looked at)
    Source: ours: a defect found in a multimodal collate function
    """
    names = [name for name in ("train", "valid", "test") if name in session.subject.splits]
    seconds = 0.6 * session.seconds_left / len(names)
    rows: list[tuple[str, str, int, int, int]] = []
    read = 0
    for name in names:
        with seeding.seeded(session.seed):
            found = layouts.read(session, name, limit=limit, seconds=seconds)
        if not found:
            raise SubjectError(f"the split {name!r} has no batch; check its data set, batch size and drop_last")
        read += len(found)
        rows += [(name, lost.path, lost.batch, lost.rows, lost.expected) for lost in layouts.lost_rows(found)]
    table = Table("Fields that lack rows", ("split", "field", "batch", "rows", "samples in the batch"), tuple(rows))
    short = len({path for _, path, *_ in rows})
    return Observation({"short_fields": Measurement(short, "{field}", n=read)}, (table,))


@fault(toy="multimodal")
def stream_stacked_without_missing_rows(subject: Subject) -> Subject:
    """Every third sample has no row in the audio stream."""

    def build() -> DataLoader[Any]:
        train: Any = subject.splits["train"].batches()

        def collate(samples: list[Any]) -> Any:
            batch = train.collate_fn(samples)
            heard = (batch["audio"].flatten(1).sum(1) * 1e3).long() % 3 > 0
            return {**batch, "audio": batch["audio"][heard], "audio_mask": batch["audio_mask"][heard]}

        return DataLoader(train.dataset, train.batch_size, shuffle=True, collate_fn=collate)

    return subject.map_split("train", lambda _: Split(build))


@fault(toy="regressor")
def targets_without_missing_rows(subject: Subject) -> Subject:
    """Samples whose target is an outlier keep their input row and lose their target row."""

    def collate(samples: list[Any]) -> Any:
        x, y = (torch.stack(part) for part in zip(*samples, strict=True))
        return x, y[y.abs() < 1.5]

    def build() -> DataLoader[Any]:
        train: Any = subject.splits["train"].batches()
        return DataLoader(train.dataset, train.batch_size, shuffle=True, collate_fn=collate)

    return subject.map_split("train", lambda _: Split(build))
