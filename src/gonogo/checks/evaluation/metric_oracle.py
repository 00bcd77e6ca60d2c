"""Right answers must score best, and an accuracy of right answers is one."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.evaluation import evaluations
from gonogo.instruments.evaluation.oracle import Oracle, answering
from gonogo.instruments.loss.asked import asked, points_at
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject

# Of these alone it is certain what perfect answers score; averages over classes lack the classes that do not occur.
_ACCURACY = re.compile(r"(?i)(.*[._/ -])?(acc|accuracy|top_?1|top_?1_?acc(uracy)?)([._/ -](valid|val|test|eval))?")
_OTHER = re.compile(r"(?i).*(balanced|macro|mean|class|train|weighted|adjusted).*")
_NEAR = re.compile(r"(?i).*(top_?([2-9]|\d\d)|@([2-9]|\d\d)|coarse|super|within|near|toler|off_?by|parent|group).*")
_PARTS = re.compile(r"(?i).*(token|exact).*")  # of more rows than samples


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN, C.VALID, C.EVALUATE},
    effort=Effort.FIT,
    after=("evaluation.split", "evaluation.coverage", "evaluation.state"),
    explains=("evaluation.batch-size",),
    criteria=[
        at_most("lost_accuracy", warn=1e-6, fail=0.01, source="exact: the accuracy of right answers is 1"),
        at_most("won_accuracy", warn=1e-6, fail=0.01, source="exact: the accuracy of wrong answers is 0"),
    ],
    since="0.2",
)
def metric_oracle(session: Session) -> Observation:
    """Right answers have accuracy 1, wrong ones 0 | Right answers do not have accuracy 1, or wrong ones not 0

    What: calls the subject's own evaluate function on valid with answers put in the model's place that are right by
        construction: in each row of the model's scores the largest value is exchanged with that of the true class (for
        rows per token or pixel: of the class that the loss asks for on the same call). A second call puts it at the
        class after the true one. `lost_accuracy` and `won_accuracy` are how far numbers
        called accuracy (acc, top1) are from 1 and from 0; percentages count as such.
    Why: an argmax over the wrong axis, a division by the wrong count or a comparison with the wrong column gives
        plausible scores that choose the wrong checkpoint.
    Fix: score ten samples with known answers by hand; look at dim= of argmax and at what is divided by what.
    Shapes: scores (sample, class) or (sample, position, class).
    Units: lost_accuracy, won_accuracy: 1 (n: batches answered).
    Source: ours; trainlint has a rule on the metric's axis.
    """
    if session.claims.stochastic or session.claims.couples_batch:
        raise NotApplicable("the answer to a sample is not a single row of scores")
    right, oracle = _scored(session)
    wrong = _scored(session, wrong=True)[0]
    shaken = _scored(session, shaken=True)[0] if oracle.unasked else right
    names = [name for name in right if _ACCURACY.fullmatch(name) and not _OTHER.fullmatch(name) and name in wrong]
    names = [name for name in names if not _NEAR.fullmatch(name)]  # the class after the true one may count there
    # A score that counts what the loss asks nothing of cannot be known.
    names = [name for name in names if right[name] == shaken.get(name)]
    names = [name for name in names if oracle.by_position or not _PARTS.fullmatch(name)]
    if not names:
        raise NotApplicable("evaluate returns no number that is called an accuracy, or it is made of other answers too")
    rows, lost, won = [], 0.0, 0.0
    for name in names:
        scale = 100.0 if max(right[name], wrong[name]) > 1.5 else 1.0
        lost, won = max(lost, abs(1.0 - right[name] / scale)), max(won, abs(wrong[name] / scale))
        rows.append((name, right[name], wrong[name]))
    table = Table("Accuracy by construction", ("number", "of right answers", "of wrong answers"), tuple(rows))
    return Observation({"lost_accuracy": Measurement(lost), "won_accuracy": Measurement(won)}, (table,))


def _scored(session: Session, *, wrong: bool = False, shaken: bool = False) -> tuple[dict[str, float], Oracle]:
    model, private = session.model.train(), session.copy_model()
    oracle = Oracle(
        session.claims,
        wrong,
        ask=lambda batch: asked(session, private, batch),
        confirm=lambda batch, classes: points_at(session, private, batch, classes),
        shaken=shaken,
    )
    with answering(model, oracle):
        seen = evaluations.evaluate(session, model, note=oracle.look)
    if not oracle.replaced or oracle.kept or seen.calls != max(seen.passes, default=0) or not seen.complete:
        raise NotApplicable("the model does not answer each batch with one row of class scores per sample or position")
    return seen.metrics, oracle


def _metric(subject: Subject, score: Any) -> Subject:
    def evaluate(model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
        with evaluating(model), torch.no_grad():
            shares = [score(subject._given("predict")(model, batch), batch["label"]) for batch in loader]
        return {"accuracy": float(sum(shares) / len(shares))}

    return replace(subject, evaluate=evaluate)


@fault()
def argmin_for_argmax(subject: Subject) -> Subject:
    """The class with the smallest score is taken as the answer."""
    return _metric(subject, lambda scores, label: (scores.argmin(1) == label).float().mean())


@fault()
def divided_by_the_batch_size(subject: Subject) -> Subject:
    """Hits are divided by a fixed batch size, which the last batch does not have."""
    return _metric(subject, lambda scores, label: (scores.argmax(1) == label).float().sum() / 16)
