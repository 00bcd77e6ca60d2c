"""Where a batch holds padding, and the same row with its padding cut off.

Padding is what a claimed pad_id fills at the ends of rows, or what another field marks there while the content is one
constant: a mask, whatever its name, or a vector of lengths. Legend of shapes: b rows, t positions.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gonogo.errors import NotApplicable
from gonogo.instruments.sequence.isolation import padding_of
from gonogo.training import batch as nested
from gonogo.training.session import Session

_BESIDES = re.compile(r"mask|label|target", re.IGNORECASE)


@dataclass(frozen=True)
class Padded:
    """A batch with padding.

    Attributes:
        batch: The batch.
        path: The field in which the padding was found.
        mask: True where it is padding, [b, t].
        token: The token that fills it; None for features.
        row: The row with the most padding.
        start, stop: The real positions of that row.
    """

    batch: Any
    path: str
    mask: Tensor
    token: int | None
    row: int
    start: int
    stop: int

    @property
    def left(self) -> bool:
        """Is the padding in front?"""
        return self.start > 0

    @property
    def markers(self) -> list[str]:
        """The fields that tell the model where it is: masks, and lengths."""
        fields = _dense(self.batch).items()
        return [path for path, field in fields if path != self.path and self._is_marker(field)]

    def _is_marker(self, field: Tensor) -> bool:
        if field.shape == self.mask.shape and _is_binary(field):
            return torch.equal(field.bool(), self.mask) or torch.equal(field.bool(), ~self.mask)
        found = _of_lengths(field, self.mask.shape[1]) if len(field.shape) == 1 else None
        return found is not None and torch.equal(found, self.mask)

    @property
    def empty(self) -> bool:
        """Does no field of the batch hold anything there?"""
        b, t = self.mask.shape
        fields = [field for field in _dense(self.batch).values() if field.shape[:2] == (b, t)]
        return all(_is_empty(field, self.mask) for field in fields)

    def repeated(self) -> Any:
        """A batch of copies of the row."""
        b = len(self.mask)
        return nested.take_rows(nested.clone(self.batch), [self.row] * b, b)

    def trimmed(self) -> Any:
        """The same with its padding cut off every field that has nothing real there."""
        b, t = self.mask.shape

        def cut(path: str, leaf: Any) -> Any:
            if not nested.is_numeric(leaf) or leaf.ndim < 2 or leaf.shape[0] != b:
                return leaf
            if leaf.ndim >= 3 and ("mask" in path.lower() or leaf.dtype == torch.bool):
                return self._cut_axes(leaf, [axis for axis in range(1, leaf.ndim) if leaf.shape[axis] == t])
            filled = leaf.shape[1] == t and self._is_filled(nested.as_tensor(leaf)[0])
            return self._cut_axes(leaf, [1]) if filled else leaf

        return nested.map_leaves(cut, self.repeated())

    def _cut_axes(self, leaf: Any, axes: list[int]) -> Any:
        places = (slice(self.start, self.stop) if axis in axes else slice(None) for axis in range(leaf.ndim))
        part = leaf[tuple(places)]
        return part.contiguous() if isinstance(part, Tensor) else part  # user code may ask for a view of it

    def _is_filled(self, row: Tensor) -> bool:
        """Is there one constant, or a count that goes on, at the padded ends of a row?"""
        ends = [end for end in (row[: self.start], row[self.stop :]) if len(end)]
        return all(bool((end == end[:1]).all()) or bool((end.diff(dim=0) == 1).all()) for end in ends)


def padded(session: Session, *, batches: int = 4) -> list[Padded]:
    """For every field, the first batch in which it has padding.

    Raises:
        NotApplicable: There is none.
    """
    found: dict[str, Padded] = {}
    for batch in session.batches("train", limit=batches):
        for path, mask, token in marked(batch, session.claims.pad_id):
            one = None if path in found else _padded(batch, path, mask, token)
            if one is not None:
                found[path] = one
    if not found:
        raise NotApplicable("no padding was found: no Claims(pad_id=...) at the ends of rows, no mask or lengths of it")
    return list(found.values())


def marked(batch: Any, pad: int | None) -> Iterator[tuple[str, Tensor, int | None]]:
    """Fields with padding, each with where it is, [b, t], and the token that fills it."""
    fields = {path: leaf for path, leaf in _dense(batch).items() if leaf.dim() >= 2 and leaf.shape[1] >= 3}
    ids = {p: f for p, f in fields.items() if f.dim() == 2 and not f.is_floating_point() and "mask" not in p.lower()}
    for path, field in ids.items():
        if pad is not None and field.dtype is not torch.bool and "label" not in path.lower():
            yield path, _behind_start(padding_of(field, pad)), pad
    named = [(name, field) for name, field in fields.items() if "mask" in name.lower() and _is_binary(field)]
    for _, mask in named:
        for path, field in fields.items():
            if "mask" not in path.lower() and field.shape[:2] == mask.shape:
                yield from _filled(path, field, mask.bool())
    for path, field in fields.items():
        if not _BESIDES.search(path):
            yield from _by_content(path, field, batch)


def _behind_start(mask: Tensor) -> Tensor:
    """Without the one token with which every row begins: decoders such as T5's start with the id of padding."""
    starts = bool((mask[:, 0] & ~mask[:, 1]).all())
    return torch.cat([torch.zeros_like(mask[:, :1]), mask[:, 1:]], dim=1) if starts else mask


def _by_content(path: str, field: Tensor, batch: Any) -> Iterator[tuple[str, Tensor, int | None]]:
    """What another field, of any name, proves to be padding: it tells rows of several lengths apart."""
    for name, other in _dense(batch).items():
        mask = None
        if name != path and other.shape == field.shape[:2] and "mask" not in name.lower() and _is_binary(other):
            mask = other.bool()
        elif other.dim() == 1 and len(other) == len(field):
            mask = _of_lengths(other, field.shape[1])
        for found in _filled(path, field, mask) if mask is not None else ():
            if len(found[1].sum(1).unique()) > 1 and (found[2] is None or found[2] >= 0):
                yield found


def _dense(batch: Any) -> dict[str, Tensor]:
    return {path: leaf for path, leaf in nested.tensors(batch).items() if leaf.layout is torch.strided}


def _is_binary(field: Tensor) -> bool:
    return field.dim() == 2 and not field.is_complex() and bool(((field == 0) | (field == 1)).all())


def _of_lengths(field: Tensor, t: int) -> Tensor | None:
    """[b] -> [b, t]: True behind the end of each row; None if these are no lengths of rows that were padded to t."""
    if field.is_floating_point() or field.dtype is torch.bool or not len(field):
        return None
    if int(field.min()) < 1 or int(field.max()) > t:
        return None
    return torch.arange(t, device=field.device) >= field.unsqueeze(1)


def _is_empty(field: Tensor, where: Tensor) -> bool:
    """Is a field one constant there, in each of its columns, or numbers that count on along each row?"""
    flat = field.flatten(2) if field.dim() > 2 else field.unsqueeze(-1)
    inside = flat[where]
    if field.is_complex() or bool((inside == inside[:1]).all()):
        return not field.is_complex()
    steps = flat.double().diff(dim=1)[where[:, 1:] & where[:, :-1]]
    return bool((steps == 1).all())


def _filled(path: str, field: Tensor, mask: Tensor) -> Iterator[tuple[str, Tensor, int | None]]:
    """The side of a mask on which the field is one constant, at the ends of rows, and nowhere else."""
    flat = field.flatten(2) if field.dim() > 2 else field.unsqueeze(-1)
    for where in (mask, ~mask):
        ends = padding_of(where.long(), 1)
        if not bool(where.any()) or bool(where.all()) or not bool((ends == where).all()):
            continue
        inside = flat[where]
        if bool((inside == inside[0, 0]).all()) and not bool((flat[~where] == inside[0, 0]).all(-1).any()):
            yield path, where, None if field.is_floating_point() else int(inside[0, 0])


def _padded(batch: Any, path: str, mask: Tensor, token: int | None) -> Padded | None:
    real = (~mask).sum(1)
    usable = (real >= 2) & (real < mask.shape[1])
    if not bool(usable.any()):
        return None
    row = int(torch.where(usable, real, mask.shape[1] + 1).argmin())
    places = (~mask[row]).nonzero().flatten()
    start, stop = int(places.min()), int(places.max()) + 1
    return Padded(batch, path, mask, token, row, start, stop)
