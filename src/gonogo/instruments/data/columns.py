"""Numbers of the input, column by column, beside the target of each sample."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gonogo.audit import fields
from gonogo.instruments.memo import instrument
from gonogo.training import batch as nested
from gonogo.training.session import Session

_WIDEST = 4096  # columns
_DISTINCT = 64  # targets, for ranks to tell something


@dataclass(frozen=True, slots=True)
class Columns:
    """Inputs (sample, column) by field, and one number per sample as target."""

    inputs: dict[str, Float[Tensor, "sample column"]]
    target: Float[Tensor, " sample"]
    classes: bool  # the target is a whole number
    ids: dict[str, Int[Tensor, "sample column"]] = field(default_factory=dict)  # tokens, codes of categories


@instrument
def columns(session: Session, *, limit: int = 32) -> Columns | None:
    """Columns of `limit` training batches; None where a sample has no target of one number."""
    inputs: dict[str, list[Tensor]] = {}
    ids: dict[str, list[Tensor]] = {}
    targets: list[Tensor] = []
    for batch in session.batches("train", limit=limit):
        target = _target(batch, session)
        if target is None:
            return None
        targets.append(target)
        own = {id(leaf) for _, leaf in nested.walk(fields.roles(batch, session.claims).target)}
        for path, leaf in nested.walk(batch):
            if isinstance(leaf, Tensor) and id(leaf) not in own and _is_wide(leaf, len(target)):
                kind = inputs if leaf.is_floating_point() else ids
                kind.setdefault(path, []).append(leaf.detach().cpu().flatten(1))
    known = {path: torch.cat(parts).double() for path, parts in inputs.items() if _fits(parts, targets)}
    tokens = {path: _cut(parts) for path, parts in ids.items() if _rows(parts) == _rows(targets)}
    tokens = {path: one for path, one in tokens.items() if one.min() < 0 or one.max() > 1}  # no masks
    whole = not targets[0].is_floating_point()
    return Columns(known, torch.cat(targets).double(), whole, tokens) if known or tokens else None


def _is_wide(leaf: Tensor, rows: int) -> bool:
    usual = leaf.is_floating_point() or (leaf.dim() == 2 and leaf.dtype in (torch.int32, torch.int64))
    return usual and leaf.dim() > 1 and len(leaf) == rows and 1 < leaf[0].numel() <= _WIDEST


def _target(batch: object, session: Session) -> Tensor | None:
    found = list(nested.tensors(fields.roles(batch, session.claims).target).values())
    if len(found) != 1 or not found[0].dim() or not len(found[0]) or found[0].is_complex():
        return None
    return found[0].detach().cpu().flatten() if found[0].numel() == len(found[0]) else None


def _fits(parts: list[Tensor], targets: list[Tensor]) -> bool:
    return len({part.shape[1] for part in parts}) == 1 and _rows(parts) == _rows(targets)


def _rows(parts: list[Tensor]) -> list[int]:
    return [len(part) for part in parts]


def _cut(parts: list[Tensor]) -> Tensor:
    """The columns that all batches have: sentences are padded to the longest of their batch."""
    width = min(part.shape[1] for part in parts)
    return torch.cat([part[:, :width] for part in parts])


def naming_columns(found: Columns, path: str) -> list[int]:
    """Columns of ids that name the class: one id for each class, and no other anywhere."""
    classes = len(found.target.unique())
    if not found.classes or classes < 2:
        return []
    named: list[int] = []
    for place, column in enumerate(found.ids[path].T):
        pairs = torch.stack([column.double(), found.target], dim=1).unique(dim=0)
        if len(pairs) == classes == len(column.unique()):
            named.append(place)
    return named


def equal_columns(found: Columns, path: str) -> list[int]:
    """Columns that are the target, number by number, or that together are its classes as zeros and ones."""
    x, y = found.inputs[path], found.target
    same = [int(place) for place in (x == y.to(x.dtype).unsqueeze(1)).all(0).nonzero().flatten()]
    # The input may be stored in less precision than the target.
    same = same or [int(place) for place in (x.float() == y.float().unsqueeze(1)).all(0).nonzero().flatten()]
    if same or not found.classes:
        return same
    ones: list[int] = []
    for one in y.unique():
        places = (x == (y == one).double().unsqueeze(1)).all(0).nonzero().flatten()
        if not len(places):
            return []
        ones.append(int(places[0]))
    return ones if len(set(ones)) == len(ones) > 1 else []


def ranks(x: Float[Tensor, "sample column"]) -> Float[Tensor, "sample column"]:
    """The place of each number in its column; equal numbers share the mean of theirs."""
    found = torch.empty_like(x)
    for place in range(x.shape[1]):
        _, which, counts = x[:, place].unique(return_inverse=True, return_counts=True)
        last = counts.cumsum(0).double()
        found[:, place] = (last - (counts - 1) / 2)[which]
    return found


def _line(x: Float[Tensor, "sample column"], y: Float[Tensor, " sample"]) -> Float[Tensor, " column"]:
    away = x - x.mean(0)
    z = (y - y.mean()) / (y - y.mean()).norm()
    return (away.T @ z).square() / away.square().sum(0)


def explained(found: Columns, path: str) -> Float[Tensor, " column"]:
    """Per column the share of its variance that the target explains: by class, or by a straight line.

    Of numbers the same is asked of their ranks: a logarithm, an identity in order, another unit is no line.
    """
    x, y = found.inputs[path].nan_to_num(), found.target
    whole = (x - x.mean(0)).square().sum(0)
    if found.classes:
        rest = torch.zeros_like(whole)
        for one in y.unique():
            group = x[y == one]
            rest += (group - group.mean(0)).square().sum(0)
        share = 1.0 - rest / whole
    else:
        share = _line(x, y)
        if len(y.unique()) >= _DISTINCT:
            share = torch.maximum(share, _line(ranks(x), ranks(y.unsqueeze(1))[:, 0]))
    return torch.where(whole > 1e-12, share, 0.0).nan_to_num()
