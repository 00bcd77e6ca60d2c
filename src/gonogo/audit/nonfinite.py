"""Values that are no numbers, counted per sample, field and column."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from gonogo.training import batch as batches


@dataclass(slots=True)
class _Seen:
    """What is known of one field after some batches."""

    poison: bool = False  # nan or +inf
    finite: bool = False
    nonzero: bool = False  # among the finite values
    columns: Counter[int | None] = field(default_factory=Counter)

    def is_mask(self, path: str) -> bool:
        """Additive attention masks hold -inf on purpose, next to zeros or, as position biases, to other numbers."""
        named = any(word in path.lower() for word in ("mask", "bias"))
        return self.finite and not self.poison and (named or not self.nonzero)


class NonFinite:
    """Counts samples with a value that is not finite, batch by batch.

    Whether a field is a mask is known only at the end, so the bad rows of each batch are kept by field until then.
    """

    def __init__(self, exempt: tuple[str, ...]) -> None:
        self._exempt = exempt
        self._seen: dict[str, _Seen] = {}
        self._bad: list[dict[str, Bool[Tensor, " batch"]]] = []

    def add(self, batch: Any, of: int) -> None:
        """Look at one batch of `of` samples."""
        bad = {path: _bad_rows(values, of) for path, values in _floats(batch) if self._look(path, values, of)}
        if bad:
            self._bad.append(bad)

    def samples(self) -> int:
        """How many samples have at least one such value in a field that is no mask."""
        return sum(int(torch.stack(masks).any(0).sum()) for masks in map(self._real, self._bad) if masks)

    def fields(self) -> list[tuple[str, int | None, int]]:
        """(field, column or None, samples), for each that has any."""
        real = [(path, seen) for path, seen in sorted(self._seen.items()) if not seen.is_mask(path)]
        return [(path, column, count) for path, seen in real for column, count in sorted(seen.columns.items(), key=str)]

    def _real(self, bad: dict[str, Tensor]) -> list[Tensor]:
        return [mask for path, mask in bad.items() if not self._seen[path].is_mask(path)]

    def _look(self, path: str, values: Tensor, of: int) -> bool:
        """Note what the field holds; is there anything that is not finite?"""
        if path.startswith(self._exempt):
            return False
        finite = torch.isfinite(values)
        seen = self._seen.setdefault(path, _Seen())
        seen.finite |= bool(finite.any())
        seen.nonzero |= bool(values[finite].any())
        if bool(finite.all()):
            return False
        rest = values[~finite]
        seen.poison |= bool((rest.isnan() | (rest.real > 0)).any())
        if values.dim() == 2:
            per_column = (~finite).sum(0)
            seen.columns.update({int(column): int(per_column[column]) for column in per_column.nonzero()})
        else:
            seen.columns[None] += int(_bad_rows(values, of).sum())
        return True


def _floats(batch: Any) -> Iterator[tuple[str, Tensor]]:
    for path, leaf in batches.walk(batch):
        if isinstance(leaf, float):
            yield path, torch.tensor(leaf)
        elif batches.is_numeric(leaf):
            tensor = batches.as_tensor(leaf).detach()
            if tensor.is_floating_point() or tensor.is_complex():
                yield path, tensor.to_dense()


def _bad_rows(values: Tensor, of: int) -> Bool[Tensor, " batch"]:
    """Which samples have a value that is not finite; a field without rows counts for the first sample."""
    bad = ~torch.isfinite(values)
    axis = batches.row_axis(values, of)
    if axis is None:
        mask = torch.zeros(max(of, 1), dtype=torch.bool)
        mask[0] = bad.any()
        return mask
    return bad.movedim(axis, 0).flatten(1).any(1).cpu() if values.dim() > 1 else bad.cpu()
