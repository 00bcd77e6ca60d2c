"""Answers that are right, or wrong, by construction: put in the place of a model's own under an evaluation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.audit import fields
from gonogo.audit.fingerprints import fingerprint
from gonogo.instruments.loss.asked import WHOLE, Asked
from gonogo.training import batch as nested
from gonogo.training.claims import Claims
from gonogo.training.entry import entry


@dataclass(slots=True)
class Oracle:
    """Replaces the answers of a model.

    Attributes:
        wrong: Gives wrong answers instead of right ones.
        batch: The batch that is being evaluated.
        replaced: Calls whose answer was replaced.
        kept: Calls whose answer has no layout that is understood.
        ask: Tells what the loss asks of a batch, for answers with more rows than samples.
        confirm: Tells the paths of what the loss, too, takes for scores of these classes in an answer.
        places: These paths, once they are known.
        shaken: Gives another answer where the loss asks nothing: in such rows, and in heads beside those it scores.
        unasked: Such rows and heads.
        by_position: The answers have more rows than samples.
    """

    claims: Claims
    wrong: bool = False
    batch: Any = None
    replaced: int = 0
    kept: int = 0
    ask: Callable[[Any], Asked | None] = lambda batch: None
    confirm: Callable[[Any, Tensor], frozenset[str]] = lambda batch, classes: frozenset({WHOLE})
    places: frozenset[str] | None = None
    shaken: bool = False
    unasked: int = 0
    by_position: bool = False

    def look(self, batch: Any) -> None:
        """Take note of the batch that is evaluated next; user code may change its own copy."""
        self.batch = nested.clone(batch)

    def answer(self, output: Any, inputs: Any = None) -> Any:
        """The output with the right (or wrong) answer in place of its own, in the domain of its own values."""
        target = class_target(self.batch, self.claims)
        new = None if target is None else self._by_sample(output, target)
        if new is None and isinstance(output, Tensor):
            new = self._by_position(output, inputs)
        self.replaced, self.kept = self.replaced + (new is not None), self.kept + (new is None)
        return output if new is None else new

    def _by_sample(self, output: Any, target: Tensor) -> Any:
        """Answers with a row for each sample, among the other heads of a mapping too."""
        able = {path: reordered(leaf, target, wrong=self.wrong) for path, leaf in nested.tensors(output).items()}
        if self.places is None and any(new is not None for new in able.values()):
            self.places = self.confirm(self.batch, target)
        if not self.places or any(able.get(path) is None for path in self.places):
            return None
        beside = frozenset(path for path, new in able.items() if new is not None) - self.places
        self.unasked += len(beside)
        given = self.places | beside if self.shaken else self.places
        return nested.map_leaves(lambda path, leaf: able[path] if path in given else leaf, output)

    def _by_position(self, scores: Tensor, inputs: Any) -> Tensor | None:
        """Answers with a row for each position: right by what the loss asks of the same call of the model."""
        found = self.ask(self.batch) if scores.dim() > 2 and scores.is_floating_point() else None
        if found is None or fingerprint(inputs) != found.inputs:
            return None
        rows = scores.detach().movedim(found.axis, -1)
        if rows.shape[:-1] != found.classes.shape:
            return None
        flat, classes = rows.flatten(0, -2), found.classes.flatten().to(rows.device)
        none = classes < 0
        self.by_position, self.unasked = True, self.unasked + int(none.sum())
        place = torch.where(none, flat.argmax(-1) + int(self.shaken) - int(self.wrong), classes) % flat.shape[1]
        new = reordered(flat, place, wrong=self.wrong)
        return None if new is None else new.view(rows.shape).movedim(-1, found.axis)


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

    def answer(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        return oracle.answer(output, [list(args), kwargs])

    handle = entry(model).register_forward_hook(answer, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
