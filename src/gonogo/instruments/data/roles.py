"""Which fields of a batch are targets, by what they do: names of fields are the user's own.

A field is exchanged among the samples of a batch. If everything that the model's modules answer stays the same bit for
bit and the loss is another one, the loss compares answers with this field.
"""

import math
from contextlib import ExitStack, suppress
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.instruments.memo import instrument
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating

MOST = 12  # fields
ROUNDING = 1e-5  # relative: another order of rows sums up to another last digit


@instrument
def targets(session: Session) -> frozenset[str]:
    """Paths of the fields that only the loss reads; empty where there is no model or loss, or they refuse.

    Checks that need no model may ask, too: what the subject lacks is no reason to skip them.
    """
    if session.subject.model is None or session.subject.loss is None or "train" not in session.subject.splits:
        return frozenset()
    try:
        view = session.narrowed((C.MODEL, C.LOSS, C.TRAIN), session.seconds_left)
        return _found(view, view.copy_model(), view.batches("train", limit=1)[0])
    except Exception:  # a loss in training mode only, a loader of one batch of objects: nothing is known then
        return frozenset()


def _found(session: Session, model: nn.Module, batch: Any) -> frozenset[str]:
    rows = nested.size(batch)
    if not rows or rows < 2:
        return frozenset()
    base, answers = _asked(session, model, batch)
    fields = [path for path, leaf in nested.tensors(batch).items() if nested.row_axis(leaf, rows) is not None]
    found = set()
    for path in fields[:MOST] if len(fields) > 1 else ():
        loss, other = math.nan, []
        with suppress(Exception):  # what refuses the values of other samples (lengths that must fall) reads them
            loss, other = _asked(session, model, exchanged(batch, path, rows))
        if abs(loss - base) > ROUNDING * max(abs(base), abs(loss)) and _same(answers, other):
            found.add(path)
    return frozenset(found)


def exchanged(batch: Any, path: str, rows: int) -> Any:
    """The batch with one field moved on among its samples."""
    order = [(row + max(1, rows // 2)) % rows for row in range(rows)]
    return nested.map_leaves(lambda at, leaf: nested.take_rows(leaf, order, rows) if at == path else leaf, batch)


def _asked(session: Session, model: nn.Module, batch: Any) -> tuple[float, list[Tensor]]:
    """The loss in evaluation mode, and every answer that a module gave on the way."""
    answers: list[Tensor] = []

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        # A single number for the whole batch is a loss: criteria are modules, too, and some models return theirs.
        answers.extend(leaf.detach().clone() for leaf in nested.tensors(output).values() if leaf.numel() > 1)

    with ExitStack() as stack, torch.no_grad(), evaluating(model), seeding.seeded(session.seed):
        for module in model.modules():
            stack.callback(module.register_forward_hook(note).remove)
        loss = float(session.loss(nested.clone(batch), model))
    if not answers or not math.isfinite(loss):
        raise ValueError("no module was called, or the loss is not finite")
    return loss, answers


def _same(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(map(_equal, one, other))


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())
