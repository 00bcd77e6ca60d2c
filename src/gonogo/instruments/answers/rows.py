"""Are the rows of a batch samples that have nothing to do with each other?"""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from gonogo.errors import NotApplicable
from gonogo.training import batch as nested
from gonogo.training.session import Session


def sample_rows(session: Session, batch: Any, *, least: int = 3) -> int:
    """The number of samples in a training batch.

    Raises:
        NotApplicable: Its rows are not samples (nodes of a graph, steps of one sequence), or too few.
    """
    rows = nested.size(batch)
    if rows is None or rows < least:
        raise NotApplicable(f"the first batch has {rows or 'no'} rows; at least {least} are needed")
    graph = _graph_field(batch, rows)
    if graph:
        raise NotApplicable(f"the field {graph!r} connects the rows of a batch to a graph")
    if not _as_the_loader_says(session, rows) and not _constant(session):
        raise NotApplicable("the batches have all sizes, so their rows may be steps of one sequence")
    return rows


def _graph_field(batch: Any, rows: int) -> str:
    for path, tensor in nested.tensors(batch).items():
        name = path.rsplit(".", 1)[-1].lower()
        if "edge" in name or name.startswith("adj") or tensor.layout is not torch.strided or _is_edges(tensor, rows):
            return path
    return ""


def _is_edges(tensor: Tensor, rows: int) -> bool:
    """Two rows of many indices below the number of nodes."""
    pairs = tensor.dim() == 2 and tensor.shape[0] == 2 and rows != 2 and tensor.shape[1] > 2
    return pairs and not tensor.is_floating_point() and not tensor.is_complex() and int(tensor.max()) < rows


def _as_the_loader_says(session: Session, rows: int) -> bool:
    loader = session.loader("train")
    return isinstance(loader, DataLoader) and loader.batch_size == rows


def _constant(session: Session) -> bool:
    sizes = [nested.size(batch) for batch in session.batches("train", limit=4)]
    return len(set(sizes[:-1] or sizes)) == 1
