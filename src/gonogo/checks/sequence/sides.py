"""All fields of a batch are padded on the same side."""

import re
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.data import ledger
from gonogo.instruments.sequence.padding import marked
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Split, Subject

# The sequence of a decoder has a side of its own, and may be as long as its source by nature of the task.
_OTHER = re.compile(r"label|target|tgt|decod|answer|output|loss|weight|respons|posit|^\W*\d", re.IGNORECASE)


@check(
    needs={C.TRAIN},
    effort=Effort.READ,
    explains=("sequence.padding", "learning."),
    criteria=[at_most("displaced", fail=0, source="exact: the same sample, collated alone, tells what stands where")],
    since="0.2",
)
def sides(session: Session, *, limit: int = 12) -> Observation:
    """Fields are padded on the same side | Fields are padded on different sides

    What: collates up to `limit` training samples together, and each of them alone. Where tokens or features have been
        padded, looks at the other fields with an entry per position. `displaced` counts those whose entries, unpadded,
        stand at the other end of every padded row that tells the two ends apart. Fields of a decoder are left alone.
    Why: masks and token types that are padded on the right, beside tokens padded on the left, say of each token what is
        true of another one. Shapes agree, and the loss falls.
    Fix: pad every field of a sample by the same function, or pass the side to each call.
    Shapes: fields [b, t, ...].
    Units: displaced: fields.
    Source: trl issue 5785; ours.
    """
    loader = ledger.map_style(session, "train")
    if loader.batch_size is None:
        raise NotApplicable("the data set gives batches, not samples")
    collate: Any = loader.collate_fn
    with seeding.seeded(session.seed):
        samples = [loader.dataset[index] for index in ledger.some_indices(loader, limit)]
        together = collate([nested.clone(sample) for sample in samples])
        try:
            alone = [nested.tensors(collate([nested.clone(sample)])) for sample in samples]
        except Exception as error:
            raise NotApplicable(f"samples cannot be collated alone: {type(error).__name__}") from error
    pad, batch = session.claims.pad_id, nested.tensors(together)
    padded = {path: mask for path, mask, _ in marked(together, pad) if len(mask) == len(samples)}
    anchors = {path: mask for path, mask in padded.items() if not _OTHER.search(path)}
    if not any(bool(mask.any()) for mask in anchors.values()):
        raise NotApplicable("collating samples together pads none of their fields")
    pairs = [(path, name) for path in anchors for name in batch if _displaced(name, path, anchors[path], batch, alone)]
    rows = tuple(pair for place, pair in enumerate(pairs) if pair[::-1] not in pairs[:place])
    return Observation(
        {"displaced": Measurement(len(rows), "{field}", n=len(batch))},
        (Table("Padded at the other end", ("beside", "field"), rows),),
    )


def _displaced(name: str, path: str, mask: Tensor, batch: dict[str, Tensor], alone: list[dict[str, Tensor]]) -> bool:
    """Do the entries of a field stand at the end of the row where the padding of the field at `path` is?"""
    field, told = batch[name], 0
    if name == path or field.shape[:2] != mask.shape or _OTHER.search(name):
        return False
    for row, gone in enumerate(mask):
        places, t = (~gone).nonzero().flatten(), len(gone)
        one, other = alone[row].get(path), alone[row].get(name)
        n = len(places)
        if n in (0, t) or one is None or other is None or other.shape[:2] != (1, n):
            continue
        start = int(places[0])
        if not torch.equal(batch[path][row, start : start + n], one[0]) or start not in (0, t - n):
            return False
        here = field[row, start : start + n]
        there = field[row, :n] if start else field[row, t - n :]
        if torch.equal(here, other[0]):
            if not torch.equal(there, here):
                return False
        elif torch.equal(there, other[0]):
            told += 1
        else:
            return False
    return told >= 2


def _collated(samples: list[dict[str, Tensor]], *, same: bool) -> dict[str, Tensor]:
    longest = max(len(sample["ids"]) for sample in samples)

    def padded(row: Tensor, left: bool) -> Tensor:
        gap = longest - len(row)
        return functional.pad(row, (gap, 0) if left else (0, gap))

    ids = torch.stack([padded(sample["ids"], True) for sample in samples])
    return {"ids": ids, "kind": torch.stack([padded(sample["kind"], same) for sample in samples])}


@fault(toy="padded_lm")
def kinds_padded_behind(subject: Subject) -> Subject:
    """Tokens are padded in front, and their kinds behind."""
    rows = [torch.randint(1, 9, (n,), generator=torch.Generator().manual_seed(n)) for n in range(4, 16)]
    data: Any = [{"ids": row, "kind": (row > row[0]).long() + 1} for row in rows]
    loader = lambda: DataLoader(data, 6, collate_fn=lambda some: _collated(some, same=False))  # noqa: E731
    return replace(subject, splits={"train": Split(loader)}, claims=replace(subject.claims, pad_id=0))
