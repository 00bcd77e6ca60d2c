"""Two readings of the same indices: what changed between them, and by how much."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gonogo.audit import fields, samples
from gonogo.audit.fingerprints import Unreadable, fingerprint
from gonogo.training import batch as batches
from gonogo.training.session import Session

_QUANTILES = torch.linspace(0, 1, 9, dtype=torch.float64)
_COMPARED = 4096  # numbers of one sample
_OTHERS = 6  # indices that each one is compared with
_ANEW = 0.85  # of the distance of two indices; 0.1 to 0.7 for usual augmentation
_SMALL = 64  # elements: above this a "target" guessed from its place may be a second picture


@dataclass(frozen=True, slots=True)
class Pair:
    """One index, read twice."""

    index: int
    first: fields.Roles
    second: fields.Roles
    input_changed: bool
    target_changed: bool


def read_twice(session: Session, name: str, *, limit: int) -> list[Pair] | None:
    """Up to `limit` indices of a split read twice, the second time in reverse order and under another seed.

    None if the split is not read by index.
    """
    source = samples.of_split(session, name)
    if source.read is None or not source.count:
        return None
    start = time.monotonic()
    samples.again(source, [0], session.seed)
    affordable = int(0.1 * session.seconds_left / max(time.monotonic() - start, 1e-6))
    limit = max(min(limit, affordable), 1)
    order = list(islice(samples.spread(source.count, session.seed), limit))
    first = samples.again(source, order, session.seed + 1)
    second = samples.again(source, order[::-1], session.seed + 2)[::-1]
    pairs = [_pair(*item, session) for item in zip(order, first, second, strict=True)]
    return [pair for pair in pairs if pair is not None]


def _pair(index: int, first: Any, second: Any, session: Session) -> Pair | None:
    if first is samples.UNREADABLE or second is samples.UNREADABLE:
        return None
    one, two = (fields.roles(sample, session.claims) for sample in (first, second))
    try:
        changed = [fingerprint(a) != fingerprint(b) for a, b in ((one.input, two.input), (one.target, two.target))]
    except Unreadable:
        return None
    return Pair(index, one, two, *changed)


def has_label(pair: Pair) -> bool:
    """Is the target a label, rather than a second view of the sample that only stands where labels stand?"""
    named = isinstance(pair.first.input, dict)
    return named or sum(tensor.numel() for tensor in batches.tensors(pair.first.target).values()) <= _SMALL


def all_redrawn(pairs: list[Pair]) -> bool:
    """Is nothing kept from one reading of an index to the next: no field of numbers, and no more labels than by chance?

    Only where the target is a class: an input and a target that are both noisy may share what lies beneath.
    """
    if len(pairs) < 16 or not all(_is_class(pair.first.target) for pair in pairs):
        return False
    relabelled = sum(pair.target_changed for pair in pairs)
    telling = _telling(pairs)
    moved = sum(_moved(pair, telling) for pair in pairs)  # another draw may be the same one by chance
    return relabelled > max(0.2 * len(pairs), 7) and moved > 0.9 * len(pairs) and redraw_ratio(pairs) > _ANEW


def _is_class(target: Any) -> bool:
    found = list(batches.tensors(target).values())
    if not found:
        return isinstance(target, int)
    return len(found) == 1 and found[0].numel() == 1 and not found[0].is_floating_point()


def _telling(pairs: list[Pair]) -> set[str]:
    """Fields of decimal numbers that tell samples of one shape apart; times and weights may be the same for all."""
    found: dict[tuple[str, torch.Size], Tensor] = {}
    telling: set[str] = set()
    for pair in pairs:
        for path, tensor in batches.tensors(pair.first.input).items():
            if tensor.is_floating_point() and tensor.numel():
                first = found.setdefault((path, tensor.shape), tensor)
                telling |= set() if torch.equal(first, tensor) else {path}
    return telling


def _moved(pair: Pair, telling: set[str]) -> bool:
    """Does every field that tells samples apart change, and is there one?"""
    one, two = (batches.tensors(roles.input) for roles in (pair.first, pair.second))
    changed = [path not in two or not torch.equal(one[path], two[path]) for path in telling & one.keys()]
    return bool(changed) and all(changed)


def ratio_of_redrawn(pairs: list[Pair]) -> float:
    """The redraw ratio of the pairs whose input and target both change; 0 unless many do: of two classes half agree."""
    both = [pair for pair in pairs if pair.input_changed and pair.target_changed]
    return redraw_ratio(both) if len(both) > max(0.2 * len(pairs), 7) else 0.0


def redraw_ratio(pairs: list[Pair]) -> float:
    """Distance of two readings of one index over the distance of two indices: 0 the same, 1 as if drawn anew.

    The nearest of three views counts: the values in place, their distribution, and which values occur at all. A crop
    or a flip moves values but keeps many of them.
    """
    ratios = [_ratio(pairs, *view) for view in ((_in_place, _gap), (_distribution, _gap), (_in_place, _novelty))]
    return min((ratio for ratio in ratios if ratio is not None), default=0.0)


def _ratio(
    pairs: list[Pair], view: Callable[[Any], Tensor], distance: Callable[[Tensor, Tensor], float]
) -> float | None:
    """None where the view cannot tell one index from another."""
    first, second = [view(pair.first.input) for pair in pairs], [view(pair.second.input) for pair in pairs]
    within = [distance(a, b) for a, b in zip(first, second, strict=True)]
    between = [
        distance(a, b) for step in range(1, _OTHERS + 1) for a, b in zip(first, _rotated(second, step), strict=True)
    ]
    apart = float(np.mean(between)) if between else 0.0
    return float(np.mean(within)) / apart if apart else None


def _rotated(items: list[Tensor], by: int) -> list[Tensor]:
    by %= len(items)
    return items[by:] + items[:by]


def _gap(a: Float[Tensor, " value"], b: Float[Tensor, " other"]) -> float:
    """Mean absolute difference over the common length."""
    size = min(len(a), len(b))
    return float((a[:size] - b[:size]).abs().mean()) if size else 0.0


def _novelty(a: Float[Tensor, " value"], b: Float[Tensor, " other"]) -> float:
    """The share of the values of `b` that `a` does not have."""
    return 1.0 - float(torch.isin(b, a).double().mean()) if len(b) else 0.0


def _numbers(given: Any) -> list[Tensor]:
    found = batches.tensors(given).values()
    numbers = [float(leaf) for _, leaf in batches.walk(given) if isinstance(leaf, int | float)]
    plain = [torch.tensor(numbers, dtype=torch.float64)] if numbers else []
    return [torch.nan_to_num(tensor.detach().cpu().double().flatten()) for tensor in found if tensor.numel()] + plain


def _in_place(given: Any) -> Float[Tensor, " value"]:
    parts = _numbers(given)
    return torch.cat(parts)[:_COMPARED] if parts else torch.zeros(0)


def _distribution(given: Any) -> Float[Tensor, " value"]:
    parts = [torch.quantile(part[:_COMPARED], _QUANTILES) for part in _numbers(given)]
    return torch.cat(parts) if parts else torch.zeros(0)
