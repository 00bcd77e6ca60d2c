"""The streams of a multimodal batch: the fields that hold them, and what marks which of their steps are there.

A stream is what a name in Claims(modalities=...) stands for. Its mask is the claimed one, a binary field of its name
and shape, or one that its content proves: on one side of it, and nowhere else, all steps are alike. Legend of shapes:
b samples, t steps.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from gonogo.errors import NotApplicable, SubjectError, did_you_mean
from gonogo.instruments.memo import instrument
from gonogo.instruments.sequence.isolation import replaced
from gonogo.training import batch as nested
from gonogo.training.session import Session

_BESIDES = re.compile(r"mask|len|size|ids?$|index|pos|pad")
_MARKS = re.compile(r"mask|pad|valid|present|avail|exist|attention|(^|[._])ok$", re.IGNORECASE)
_BATCHES = 4  # a mask that is the same in all of them says that everything is there


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells the steps, or the samples, of a stream that are there.

    Attributes:
        path: A binary field [b, t] or [b].
        there: Its value where there is content.
        samples: Does it speak of whole samples?
        declared: Is it named in Claims(masks=...)?
    """

    path: str
    there: bool
    samples: bool = False
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream.

    Attributes:
        name: The claim.
        content: Fields with its content, [b, t, ...].
        beside: Fields with a number for each step (times, quality), [b, t, ...].
        mark: What tells which steps are there; None if nothing does.
    """

    name: str
    content: tuple[str, ...]
    beside: tuple[str, ...] = ()
    mark: Mark | None = None

    def there(self, batch: Any) -> Bool[Tensor, "b t"]:
        """True where there is content; a mark of whole samples counts for each of their steps."""
        fields = nested.tensors(batch)
        b, t = _sizes(fields[self.content[0]])
        if self.mark is None:
            return torch.ones(b, t, dtype=torch.bool, device=fields[self.content[0]].device)
        told = fields[self.mark.path].bool() == self.mark.there
        return told if told.dim() == 2 else told.unsqueeze(1).expand(b, t)

    @property
    def of_samples(self) -> bool:
        """Does the mark speak of whole samples, not of steps?"""
        return self.mark is not None and self.mark.samples

    def with_there(self, batch: Any, there: Bool[Tensor, "b t"]) -> Any:
        """The batch in which the mark says this; a sample is there if any of its steps is."""
        mark = self.mark
        assert mark is not None  # streams without a mark are asked nothing of the kind

        def change(path: str, leaf: Any) -> Any:
            if path != mark.path:
                return leaf
            value = there if leaf.dim() == 2 else there.any(1)
            return (value == mark.there).to(leaf.dtype)

        return nested.map_leaves(change, batch)

    def with_other(self, batch: Any, where: Bool[Tensor, "b t"], seed: int) -> Any:
        """The batch with other content of the same kind at some steps."""
        return self._with(batch, lambda leaf: replaced(leaf, _over(where, leaf), seed))

    def with_value(self, batch: Any, where: Bool[Tensor, "b t"], value: float) -> Any:
        """The batch with one number in all features at some steps; token ids stay."""

        def put(leaf: Tensor) -> Tensor:
            places = _over(where, leaf).reshape(*leaf.shape[:2], *[1] * (leaf.dim() - 2))
            return torch.where(places, value, leaf) if leaf.is_floating_point() else leaf

        return self._with(batch, put)

    def _with(self, batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
        return nested.map_leaves(lambda path, leaf: change(leaf) if path in self.content else leaf, batch)

    def longer(self, batch: Any, steps: int, pad: int | None = None, also: tuple[str, ...] = ()) -> Any:
        """The batch with further steps behind all others, which the mark says are not there."""
        there = self.there(batch)
        mark = self.mark.path if self.mark else ""

        def change(path: str, leaf: Any) -> Any:
            if path not in (*self.content, *self.beside, *also, mark) or leaf.shape[:2] != there.shape:
                return leaf
            if path == mark:
                fill = torch.full_like(leaf[:, :1], not self.mark.there if self.mark else 0)
            elif path in self.content:
                fill = torch.full_like(leaf[:, :1], 1) * _filling(leaf, there, pad)
            else:
                fill = leaf[:, -1:]
            return torch.cat([leaf, fill.expand(leaf.shape[0], steps, *leaf.shape[2:])], 1)

        return nested.map_leaves(change, batch)


@instrument
def streams(session: Session) -> tuple[Stream, ...]:
    """The streams that the claims name, as far as the first batch has them.

    Raises:
        NotApplicable: It has none of them.
        SubjectError: A claimed mask is no field of the batch.
    """
    batches = session.batches("train", limit=_BATCHES)
    fields = {p: leaf for p, leaf in nested.walk(batches[0]) if isinstance(leaf, Tensor) and leaf.dim()}
    fields = {path: leaf for path, leaf in fields.items() if leaf.layout is torch.strided}
    _refuse_unknown_masks(session, fields)
    found = [_stream(session, name, batches, fields) for name in session.claims.modalities]
    known = tuple(stream for stream in found if stream is not None)
    if not known:
        raise NotApplicable("no field of the batch is called like one of Claims(modalities=...)")
    return known


def fields_of(claim: str, names: list[str]) -> list[str]:
    """The fields of a modality: those of its name, else those that begin with it, without its masks and lengths."""
    exact = [name for name in names if claim in name.split(".")]
    return exact or [name for name in names if name.startswith(claim) and not _BESIDES.search(name.lower())]


def _stream(session: Session, name: str, batches: list[Any], fields: dict[str, Tensor]) -> Stream | None:
    rows = nested.size(batches[0])
    wide = {path: leaf for path, leaf in fields.items() if leaf.dim() >= 2 and leaf.shape[0] == rows}
    inputs = [path for path, leaf in wide.items() if leaf.dtype is not torch.bool and not _is_about(path, name)]
    content = fields_of(name, inputs)
    content = [path for path in content if wide[path].shape[:2] == wide[content[0]].shape[:2]]
    if not content:
        return None
    # A quality or a time is one number for each step beside features of several.
    deep = [path for path in content if wide[path].dim() > 2]
    rest, content = [path for path in content if deep and path not in deep], deep or content
    mark = _mark(session, name, batches, content)
    shape, taken = wide[content[0]].shape[:2], {*content, *rest, mark.path if mark else ""}
    beside = [path for path in wide if path not in taken and wide[path].shape[:2] == shape and _named(path, name)]
    return Stream(name, tuple(content), (*rest, *beside), mark)


def _mark(session: Session, name: str, batches: list[Any], content: list[str]) -> Mark | None:
    fields = nested.tensors(batches[0])
    claimed = session.claims.masks.get(name, "")
    if claimed:
        path = claimed.removeprefix("~")
        return Mark(path, not claimed.startswith("~"), fields[path].dim() == 1, declared=True)
    b, t = fields[content[0]].shape[:2]
    binary = [p for p, f in fields.items() if p not in content and f.shape in ((b, t), (b,)) and _is_binary(f)]
    named = [path for path in binary if _named(path, name) and _MARKS.search(path)]
    for path in [*named, *(path for path in binary if path not in named and fields[path].dim() == 2)]:
        there = _side(batches, path, content, constant=path in named)
        if there is not None:
            return Mark(path, there, fields[path].dim() == 1)
    return None


def _side(batches: list[Any], path: str, content: list[str], *, constant: bool) -> bool | None:
    """The value of a mask where there is content; None if content does not tell."""
    seen, masks = set(), []
    for batch in batches:
        fields = nested.tensors(batch)
        masks.append(fields[path].bool())
        if masks[-1].dim() == 2:
            sides = {side: masks[-1] != side for side in (True, False)}
            seen |= {side for side, hidden in sides.items() if any(_all_alike(fields[c], hidden) for c in content)}
    if len(seen) == 1:
        return seen.pop()
    values = {bool(value) for mask in masks for value in mask.unique()}
    if constant and not seen and len(values) == 1:
        return values.pop()
    # Of whole samples the convention is the name: present, valid, available; a mask of them is read so, too.
    return True if constant and masks[0].dim() == 1 and "pad" not in path.lower() else None


def _all_alike(field: Tensor, where: Bool[Tensor, "b t"]) -> bool:
    """Is the content one constant there, column by column, and another elsewhere? Rows of one kind tell nothing."""
    mixed = where.any(1) & ~where.all(1)
    inside, outside = field[mixed][where[mixed]], field[mixed][~where[mixed]]
    return len(inside) > 1 and bool((inside == inside[:1]).all()) and not bool((outside == inside[:1]).all())


def _is_binary(field: Tensor) -> bool:
    return not field.is_complex() and bool(((field == 0) | (field == 1)).all())


def _is_about(path: str, name: str) -> bool:
    """Is it a mask or a length of the stream, whatever the stream is called?"""
    rest = ".".join(part for part in path.lower().split(".") if part != name.lower())
    return bool(_MARKS.search(rest) or re.search(r"(^|[._])lens?$|length|index", rest))


def _named(path: str, name: str) -> bool:
    return path.startswith(name) or name.lower() in re.split(r"[._]", path.lower())


def _sizes(field: Tensor) -> tuple[int, int]:
    return field.shape[0], field.shape[1]


def _over(where: Bool[Tensor, "b t"], leaf: Tensor) -> Tensor:
    return where[:, :1].expand(*leaf.shape[:2]) if where.shape[1] != leaf.shape[1] else where


def _filling(leaf: Tensor, there: Bool[Tensor, "b t"], pad: int | None) -> Tensor:
    """What stands at steps that are not there, where that is one constant; else the token of padding, or zeros."""
    inside = leaf[~there] if leaf.shape[:2] == there.shape else leaf[:0, 0]
    if len(inside) and bool((inside == inside[:1]).all()):
        return inside[0]
    return torch.full_like(leaf[0, 0], 0 if pad is None or leaf.is_floating_point() else pad)


def _refuse_unknown_masks(session: Session, fields: dict[str, Tensor]) -> None:
    for name, given in session.claims.masks.items():
        path = given.removeprefix("~")
        if path not in fields:
            has = ", ".join(fields)
            raise SubjectError(
                f"Claims(masks={{{name!r}: {given!r}}}): the batch has no field {path!r}. "
                f"It has: {has}.{did_you_mean(path, list(fields))}"
            )
