"""The roles of a sample's fields: what goes in, what is predicted, and what only names the sample."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

from torch import Tensor

from gonogo.audit.fingerprints import as_mapping, fingerprint
from gonogo.training import batch as batches
from gonogo.training.claims import Claims

_TARGET = re.compile(r"(?i)(labels?|targets?|y|ratings?|scores?|(label|target)_\w+|\w+_(label|target)s?)")
# Exact names only: a recommender's user_id and item_id are its input.
_NAMES = re.compile(r"(?i)(ids?|idx|index|indices|uu?id|sample_(id|index|idx)|example_id|path|file|file_?name)")


@dataclass(frozen=True, slots=True)
class Roles:
    """A sample, taken apart. `target` is None where there is none."""

    input: Any
    target: Any = None
    group: Any = None


def roles(sample: Any, claims: Claims) -> Roles:
    """The parts of one sample (or of one batch of the same form).

    The target is the one claimed, else the fields named like one, else the last element of a tuple. The input is the
    rest without group and identifiers: these differ between two copies of one sample.
    """
    parts = as_mapping(sample)
    if parts is not None:
        return _of_mapping(parts, claims)
    if isinstance(sample, tuple | list) and len(sample) > 1 and not all(isinstance(x, Number) for x in sample):
        return _of_sequence(sample, claims)
    return Roles(sample)


def _of_mapping(parts: Mapping[Any, Any], claims: Claims) -> Roles:
    if claims.target is not None and claims.target in parts:
        targets = [claims.target]
    else:
        targets = [key for key in parts if _TARGET.fullmatch(str(key))]
    known = {*targets, claims.group_key}
    given = {key: value for key, value in parts.items() if key not in known}
    without_names = {key: value for key, value in given.items() if not _NAMES.fullmatch(str(key))}
    target = parts[targets[0]] if len(targets) == 1 else {key: parts[key] for key in targets} or None
    return Roles(without_names or given, target, parts.get(claims.group_key) if claims.group_key else None)


def _of_sequence(parts: Sequence[Any], claims: Claims) -> Roles:
    last = len(parts) - 1
    position = claims.target if isinstance(claims.target, int) and -len(parts) <= claims.target <= last else last
    position %= len(parts)
    return Roles([part for place, part in enumerate(parts) if place != position], parts[position])


def rows_of(batch: Any, claims: Claims) -> int | None:
    """The number of samples in a batch: the leading size of the target, else the one that most fields share.

    The target decides because lists of nodes or of masked positions have rows of their own.
    """
    target = roles(batch, claims).target
    for _, leaf in batches.walk(target):
        if hasattr(leaf, "shape") and len(leaf.shape):
            return int(leaf.shape[0])
    return batches.size(batch)


def name_of(group: Any) -> str:
    """A group as text: the value of a one-element tensor, the text itself, or the fingerprint of anything longer."""
    if isinstance(group, Tensor) or hasattr(group, "dtype"):
        return str(group.item()) if getattr(group, "ndim", 0) == 0 or _length(group) == 1 else fingerprint(group).hex()
    return str(group) if isinstance(group, str | bytes | Number) else fingerprint(group).hex()


def _length(value: Any) -> int:
    return int(value.numel()) if isinstance(value, Tensor) else int(value.size)
