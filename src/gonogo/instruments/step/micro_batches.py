"""One batch cut into micro-batches, shortest rows first: equal rows, but as unequal lengths as the batch allows."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gonogo.instruments.answers.rows import sample_rows
from gonogo.training import batch as nested
from gonogo.training.session import Session

IGNORED = -100  # torch's own default for targets that do not count


def micro_batches(session: Session, count: int) -> tuple[Any, list[Any]]:
    """A batch, and the same rows in `count` parts of equal size.

    Raises:
        NotApplicable: Its rows are not samples, or fewer than two per part.
    """
    [batch] = session.batches("train", limit=1)
    rows = sample_rows(session, batch, least=2 * count)
    each = rows // count
    order = by_length(batch, rows, session.claims.pad_id)[: each * count]
    parts = [order[start : start + each] for start in range(0, len(order), each)]
    return nested.take_rows(batch, order, rows), [nested.take_rows(batch, part, rows) for part in parts]


def by_length(batch: Any, rows: int, pad: int | None = None) -> list[int]:
    """Row numbers, those with the most padding, masked positions and ignored targets first."""
    empty = torch.zeros(rows)
    for tensor in nested.tensors(batch).values():
        if tensor.dim() > 1 and tensor.shape[0] == rows and not tensor.is_floating_point():
            empty += _counted_out(tensor, pad).reshape(rows, -1).sum(1).cpu()
    return [int(row) for row in torch.argsort(empty, descending=True, stable=True)]


def token_shares(parts: Sequence[Any], pad: int | None = None) -> list[list[float]]:
    """The share of each part in the positions that count, by each tensor that tells; with and without the first one."""
    found: list[list[float]] = []
    fields = [nested.tensors(part) for part in parts]
    for path in fields[0]:
        tensors = [each[path] for each in fields]
        if any(t.dim() < 2 or t.is_floating_point() for t in tensors):
            continue
        for start in (0, 1):
            counts = [int((~_counted_out(t, pad))[:, start:].sum()) for t in tensors]
            if sum(counts) and len(set(counts)) > 1:
                found.append([count / sum(counts) for count in counts])
    return found


def _counted_out(tensor: Tensor, pad: int | None) -> Tensor:
    if tensor.dtype is torch.bool:
        return ~tensor
    out = tensor == IGNORED
    if pad is not None:
        out |= tensor == pad
    # A mask of zeros and ones; other numbers say nothing about lengths without a claim.
    return out | (tensor == 0) if bool(((tensor == 0) | (tensor == 1)).all()) else out
