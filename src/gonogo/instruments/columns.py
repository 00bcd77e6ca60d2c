"""Numbers of the input, column by column, beside the target of each sample."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
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


@instrument
def columns(session: Session, *, limit: int = 32) -> Columns | None:
    """Columns of `limit` training batches; None where a sample has no target of one number."""
    inputs: dict[str, list[Tensor]] = {}
    targets: list[Tensor] = []
    for batch in session.batches("train", limit=limit):
        target = _target(batch, session)
        if target is None:
            return None
        targets.append(target)
        own = {id(leaf) for _, leaf in nested.walk(fields.roles(batch, session.claims).target)}
        for path, leaf in nested.walk(batch):
            wide = isinstance(leaf, Tensor) and leaf.is_floating_point() and id(leaf) not in own and leaf.dim() > 1
            if wide and len(leaf) == len(target) and 1 < leaf[0].numel() <= _WIDEST:
                inputs.setdefault(path, []).append(leaf.detach().cpu().double().flatten(1))
    known = {path: torch.cat(parts) for path, parts in inputs.items() if _fits(parts, targets)}
    whole = not targets[0].is_floating_point()
    return Columns(known, torch.cat(targets).double(), whole) if known else None


def _target(batch: object, session: Session) -> Tensor | None:
    found = list(nested.tensors(fields.roles(batch, session.claims).target).values())
    if len(found) != 1 or not found[0].dim() or not len(found[0]) or found[0].is_complex():
        return None
    return found[0].detach().cpu().flatten() if found[0].numel() == len(found[0]) else None


def _fits(parts: list[Tensor], targets: list[Tensor]) -> bool:
    widths = {part.shape[1] for part in parts}
    return len(widths) == 1 and [len(part) for part in parts] == [len(target) for target in targets]


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
