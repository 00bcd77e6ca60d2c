"""Fields with padding, and the masks that tell of it. Legend of shapes: b rows, t positions."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from jaxtyping import Bool
from torch import Tensor

from gonogo.errors import NotApplicable
from gonogo.instruments.sequence.padding import padded
from gonogo.instruments.streams.fields import streams
from gonogo.training import batch as nested
from gonogo.training.session import Session


class MaskedField(NamedTuple):
    """A field, its masks, a batch of rows that have content and padding, and where that is True for padding."""

    path: str
    masks: tuple[str, ...]
    batch: Any
    padding: Bool[Tensor, "b t"]


def masked_fields(session: Session) -> Iterator[MaskedField]:
    """Fields with padding and the masks that tell of it, each in a batch of rows that have both."""
    found: dict[str, tuple[tuple[str, ...], Any, Tensor]] = {}
    for one in _claimed(session):
        found[one.path] = one[1:]
    try:
        proven = padded(session)
    except NotApplicable:
        proven = []
    for one in proven:
        tensors = nested.tensors(one.batch)
        masks = tuple(path for path in one.markers if tensors[path].shape == one.mask.shape)
        if masks and one.path not in found and not any(one.path in given[0] for given in found.values()):
            found[one.path] = (masks, one.batch, one.mask)
    for path, (masks, batch, padding) in found.items():
        rows = (padding.any(1) & ~padding.all(1)).nonzero().flatten().tolist()
        if rows:
            yield MaskedField(path, masks, nested.take_rows(batch, rows, len(padding)), padding[rows])


def _claimed(session: Session) -> Iterator[MaskedField]:
    if not session.claims.masks or not session.claims.modalities:
        return
    [batch] = session.batches("train", limit=1)
    for one in streams(session):
        if one.mark is not None and one.mark.declared and not one.of_samples:
            yield MaskedField(one.content[0], (one.mark.path,), batch, ~one.there(batch))
