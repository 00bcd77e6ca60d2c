"""Row i of the input and row i of the target must be one sample."""

import re
from dataclasses import replace
from typing import Any

import torch
from torch.utils.data import DataLoader

from gonogo.audit import fields
from gonogo.audit import pairing as matching
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.data import ledger, roles
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_OTHERS = re.compile(r"(?i).*(neg|other|shuffl|permut|mix|random|context|support|distract|index|indices|order).*")


@check(
    needs={C.TRAIN},
    effort=Effort.READ,
    explains=("learning", "evaluation"),
    criteria=[
        at_most("mispaired", fail=0, source="exact: the same samples, collated alone, tell which row is which"),
    ],
    since="0.2",
)
def pairing(session: Session, *, limit: int = 16) -> Observation:
    """Inputs keep their targets when batched | Inputs and targets are paired anew when batched

    What: collates up to `limit` training samples together, and each of them alone, and finds by content which sample
        each row of each field comes from (padding apart). `mispaired` counts the rows whose target comes from another
        sample than a field of the input. Fields that the collate function changes (mixing, masking, noise), and those
        named like negatives or orders, are left alone.
    Why: a collate function that sorts the inputs by length and not the targets gives every sample the target of
        another one. Losses fall to that of a guess, and nothing fails.
    Fix: sort the samples before they are taken apart, not one of their fields.
    Shapes: fields with one row per sample on the first or second axis.
    Units: mispaired: {row} (n: rows compared).
    Source: ours; PyTorch, pack_padded_sequence(enforce_sorted).
    """
    loader = ledger.map_style(session, "train")
    if loader.batch_size is None:
        raise NotApplicable("the data set gives batches, not samples")
    indices = ledger.some_indices(loader, limit)
    collate: Any = loader.collate_fn
    with seeding.seeded(session.seed):
        samples = [loader.dataset[index] for index in indices]
        batch = collate([nested.clone(sample) for sample in samples])
        singles = [collate([nested.clone(sample)]) for sample in samples]
    found = matching.assignments(batch, singles)
    targets = _of(found, batch, fields.roles(batch, session.claims).target)
    targets |= {path: found[path] for path in roles.targets(session) if path in found and not _OTHERS.fullmatch(path)}
    inputs = {path: rows for path, rows in found.items() if path not in targets and not _OTHERS.fullmatch(path)}
    inputs = {path: rows for path, rows in inputs.items() if any(len(some) < len(indices) / 2 for some in rows)}
    if not targets or not inputs:
        raise NotApplicable("no input or no target can be followed from the samples to the batch")
    shapes = {path: (leaf.dtype, leaf.shape) for path, leaf in nested.tensors(batch).items()}
    table = [
        (path, target, matching.at_odds(rows, targets[target])) for path, rows in inputs.items() for target in targets
    ]
    # Of several targets of one form (mixed samples have two), one must belong to the input.
    least = {(path, shapes[target]): len(indices) for path, target, _ in table}
    for path, target, count in table:
        least[path, shapes[target]] = min(least[path, shapes[target]], count)
    worst = max(least.values())
    return Observation(
        {"mispaired": Measurement(worst, "{row}", n=len(indices))},
        (Table("Rows at odds", ("input", "target", "rows"), tuple(table)),),
    )


def _of(found: dict[str, matching.Candidates], batch: Any, target: Any) -> dict[str, matching.Candidates]:
    """The fields whose tensors belong to the target."""
    owned = {id(leaf) for _, leaf in nested.walk(target)}
    return {path: found[path] for path, leaf in nested.walk(batch) if path in found and id(leaf) in owned}


def _collated(subject: Subject, change: Any) -> Subject:
    def build() -> DataLoader[Any]:
        loader: Any = subject.splits["train"].batches()

        def collate(samples: list[Any]) -> Any:
            return change(loader.collate_fn(samples))

        return DataLoader(loader.dataset, loader.batch_size, shuffle=True, collate_fn=collate)

    return subject.map_split("train", lambda split: replace(split, batches=build))


@fault(toy="multimodal")
def one_stream_sorted(subject: Subject) -> Subject:
    """The text stream is sorted by length, nothing else is."""

    def change(batch: Any) -> Any:
        order = batch["text_mask"].sum(1).argsort(descending=True)
        return {**batch, "text": batch["text"][order], "text_mask": batch["text_mask"][order]}

    return _collated(subject, change)


@fault(toy="regressor")
def targets_shifted(subject: Subject) -> Subject:
    """Targets move by one row."""
    return _collated(subject, lambda batch: [batch[0], torch.roll(batch[1], 1)])
