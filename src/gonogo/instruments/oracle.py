"""Answers that are right, or wrong, by construction: put in the place of a model's own under an evaluation."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.audit import fields
from gonogo.training import batch as nested
from gonogo.training.claims import Claims


@dataclass(slots=True)
class Oracle:
    """Replaces the answers of a model.

    Attributes:
        wrong: Gives wrong answers instead of right ones.
        batch: The batch that is being evaluated.
        replaced: Calls whose answer was replaced.
        kept: Calls whose answer has no layout that is understood.
    """

    claims: Claims
    wrong: bool = False
    batch: Any = None
    replaced: int = 0
    kept: int = 0

    def look(self, batch: Any) -> None:
        """Take note of the batch that is evaluated next; user code may change its own copy."""
        self.batch = nested.clone(batch)

    def answer(self, output: Any) -> Any:
        """The output with the right (or wrong) answer in place of its own, in the domain of its own values."""
        scores, target = _only_tensor(output), class_target(self.batch, self.claims)
        new = None if scores is None or target is None else reordered(scores, target, wrong=self.wrong)
        self.replaced, self.kept = self.replaced + (new is not None), self.kept + (new is None)
        return output if new is None else new


def class_target(batch: Any, claims: Claims) -> Tensor | None:
    """The class of each sample of a batch: one vector of whole numbers, if that is what its target is."""
    if claims.target is None and isinstance(batch, list | tuple) and len(batch) > 2:
        return None  # the last one may be lengths
    found = list(nested.tensors(fields.roles(batch, claims).target).values())
    if len(found) != 1:
        return None
    target = found[0]
    whole = not target.is_floating_point() and not target.is_complex()
    return target.long() if whole and target.dim() == 1 and target.numel() else None


def reordered(scores: Tensor, target: Tensor, *, wrong: bool = False) -> Tensor | None:
    """Scores (sample, class), each row with its largest value moved to the class of the target, or to the next one.

    Values stay those of the row, so that logits stay logits and probabilities stay probabilities. None if the layout
    is another one, or if a row has no single largest value.
    """
    if not scores.is_floating_point() or scores.dim() != 2 or scores.shape[0] != len(target) or scores.shape[1] < 2:
        return None
    classes = scores.shape[1]
    target = target.to(scores.device)
    if int(target.min()) < 0 or int(target.max()) >= classes:
        return None
    ordered = scores.detach().sort(dim=1, descending=True).values
    if not bool((ordered[:, 0] > ordered[:, 1]).all()):
        return None
    place = (target + 1) % classes if wrong else target
    new, rows = scores.detach().clone(), torch.arange(len(target), device=scores.device)
    at = new.argmax(1)
    new[rows, at], new[rows, place] = scores.detach()[rows, place], scores.detach()[rows, at]
    return new


@contextmanager
def answering(model: nn.Module, oracle: Oracle) -> Iterator[None]:
    """The model gives the oracle's answers."""
    handle = model.register_forward_hook(lambda module, inputs, output: oracle.answer(output))
    try:
        yield
    finally:
        handle.remove()


def _only_tensor(output: Any) -> Tensor | None:
    return output if isinstance(output, Tensor) else None
