"""A question whose solution is shown beside it asks for a copy."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gonogo.audit import fields
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Split, Subject

_ALL = 0.98  # a task in which every answer stands beside its question is one of looking it up
_CHANCE = 0.25  # of the share found, between questions and examples of other samples


@check(
    needs={C.TRAIN},
    effort=Effort.READ,
    explains=("learning",),
    criteria=[at_most("answered", warn=0.0, fail=0.02, source="exact: question and answer both, number by number")],
    since="0.2",
)
def answered_question(session: Session, *, limit: int = 16) -> Observation:
    """No question stands among its solved examples | Questions stand, with their answers, among the examples shown

    What: looks in `limit` training batches for samples of several solved examples and a question: fields (sample,
        example, ...) of which one has the shape of the target for each example, and another that of the question.
        `answered` is the share of samples in which one example is the question, and its solution the target. Tasks
        of looking up, where that holds for every sample, are meant so; and so are few different answers.
    Why: in those samples the model learns to copy instead of to conclude, and validation, built alike, praises it.
    Fix: draw the examples from the other pairs of the task.
    Shapes: question (sample, ...), target (sample, ...), examples (sample, example, ...) of each.
    Units: answered: 1 (n: samples).
    Source: ours: a data set of tasks whose context was drawn from all pairs, the question's own included.
    """
    hits: list[Tensor] = []
    others: list[Tensor] = []
    free: list[Tensor] = []
    for batch in session.batches("train", limit=limit):
        target = _target(session, batch)
        found = [] if target is None else list(_forms(session, batch, target))
        if target is None or not found:
            raise NotApplicable("no sample has a question, its target, and solved examples of the same shapes")
        hit = torch.stack([_both(target, *form) for form in found]).any(0)
        hits.append(hit)
        others.append(torch.stack([_both(target.roll(1, 0), form[0].roll(1, 0), *form[1:]) for form in found]).any(0))
        free.append(target[~hit].flatten(1))
    answered, chance = (float(torch.cat(one).double().mean()) for one in (hits, others))
    rest = torch.cat(free)
    varied = len(rest) > 3 and len(rest.unique(dim=0)) > len(rest) / 2
    sure = varied and answered < _ALL and chance < _CHANCE * answered
    n = sum(map(len, hits))
    table = Table("Questions", ("what", "samples"), (("answered beside it", int(torch.cat(hits).sum())), ("all", n)))
    return Observation({"answered": Measurement(answered if sure else 0.0, n=n)}, (table,))


def _target(session: Session, batch: Any) -> Tensor | None:
    found = list(nested.tensors(fields.roles(batch, session.claims).target).values())
    return found[0] if len(found) == 1 and _is_rich(found[0]) else None


def _is_rich(tensor: Tensor) -> bool:
    """Has it rows of several numbers each?"""
    return tensor.dim() > 1 and len(tensor) > 3 and tensor[0].numel() > 2


def _forms(session: Session, batch: Any, target: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """(question, examples of questions, their solutions) in every way in which shapes allow it."""
    given = nested.tensors(fields.roles(batch, session.claims).input)
    several = {path: leaf for path, leaf in given.items() if leaf.dim() > 2 and len(leaf) == len(target)}
    for path, question in given.items():
        if not _is_rich(question) or len(question) != len(target):
            continue
        for asked_path, asked in several.items():
            for solved_path, solved in several.items():
                differ = len({path, asked_path, solved_path}) == 3 and asked.shape[1] == solved.shape[1]
                fits = asked.shape[2:] == question.shape[1:] and solved.shape[2:] == target.shape[1:]
                if differ and fits:
                    yield question, asked, solved


def _both(target: Tensor, question: Tensor, asked: Tensor, solved: Tensor) -> Tensor:
    """Per sample: is there an example that is the question, with the target as its solution?"""
    same = (asked == question.unsqueeze(1)).flatten(2).all(-1)
    return (same & (solved == target.unsqueeze(1)).flatten(2).all(-1)).any(1)


@fault(toy="regressor")
def examples_drawn_from_all_pairs(subject: Subject) -> Subject:
    """Two of three pairs are shown, whichever of the three is asked."""
    draw = torch.Generator().manual_seed(0)
    x, y = (torch.randn(90, 3, 4, generator=draw) for _ in range(2))
    asked, rows = torch.arange(90) % 3, torch.arange(90)
    whole = {"shown": x[:, :2], "solved": y[:, :2], "question": x[rows, asked], "target": y[rows, asked]}
    batches = [nested.take_rows(whole, list(range(start, start + 30)), 90) for start in range(0, 90, 30)]
    split = Split(lambda: batches)
    return replace(subject, splits={"train": split, "valid": split}, claims=replace(subject.claims, target="target"))
