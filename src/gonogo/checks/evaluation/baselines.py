"""A metric has a floor: what a predictor scores that knows nothing of the input."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers import controls
from gonogo.instruments.evaluation import baselines as blind
from gonogo.instruments.evaluation.evaluations import gap
from gonogo.training import batch as nested
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject

STEPS = (10, 40, 100)  # after these it is asked whether the answers suit their targets beyond chance
ALIKE = 1e-6  # relative
Scores = Mapping[str, float]


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN, C.VALID, C.EVALUATE},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "evaluation.repeat", "evaluation.state"),
    criteria=[
        at_most("blind_metrics", warn=0, source="ours: the loss tells own from exchanged answers beyond chance"),
    ],
    since="0.2",
)
def baselines(session: Session, *, seconds: float = 3.0) -> Observation:
    """The metrics tell a model from a blind predictor | The metrics do not tell a model from a blind predictor

    What: runs the subject's own evaluate function on some batches of valid for a briefly trained model, and for
        predictors that know nothing: the mean answer for every sample, the answers of other samples, the untrained
        model, scores in random order. The table is the floor of every metric. `blind_metrics` is 1 if no metric
        changes when the answers are exchanged among the samples although the loss does, beyond chance, and some
        metric is fine enough to change with the mean answer.
    Why: an accuracy of 0.95 says nothing where the most frequent class alone scores 0.95, and a
        number that does not see the targets chooses any checkpoint.
    Fix: report each metric beside its floor; look at what is compared with the targets, and where.
    Shapes: outputs with a row per sample.
    Units: blind_metrics: 1.
    Source: A. Karpathy, A Recipe for Training Neural Networks (2019), "input-independent baseline"; ours.
    """
    model = session.model
    seen = {"untrained model": blind.scores(session, model)}
    certain = _trained(session, seconds)
    seen["model after some steps"] = own = blind.scores(session, model)
    seen["mean answer for all"] = blind.scores(session, model, blind.constant)
    seen["answers of other samples"] = other = blind.scores(session, model, blind.exchanged)
    seen["scores in random order"] = blind.scores(session, model, blind.reordered)
    if not own or not other:
        raise NotApplicable("evaluate does not use the outputs of the model's calls with a row per sample")
    made = _by_construction(session)
    seen |= {name: scores for name, scores in made.items() if scores}
    fixed = _fixed(seen)
    found = {"metrics": Measurement(len(own)), "constant_metrics": Measurement(len(fixed))}
    # Where the mean answer, too, scores the same, the numbers are too coarse to see what was learned so far; what
    # changes with the order of the classes may see the targets, and the answers be the same for all samples so far.
    blinded = _alike(own, other) and _alike(own, seen["scores in random order"]) and _alike(*made.values())
    blinded = blinded and not _alike(own, seen["mean answer for all"])
    found["blind_metrics"] = Measurement(float(certain and blinded))
    rows = [(name, *(scores.get(metric) for metric in own)) for name, scores in seen.items() if scores]
    return Observation(found, (Table("What knowing nothing scores", ("predictor", *own), tuple(rows)),))


def _by_construction(session: Session) -> dict[str, Scores]:
    model = session.model
    return {
        f"{name} answers": blind.by_construction(session, model, wrong=name == "wrong") for name in ("right", "wrong")
    }


def _alike(one: Scores, other: Scores) -> bool:
    return all(gap(one[name], other.get(name, one[name])) < ALIKE for name in one)


def _fixed(seen: Mapping[str, Scores]) -> set[str]:
    """The numbers that are the same for all predictors, bit for bit."""
    first, *others = [scores for scores in seen.values() if scores] or [{}]
    return {name for name in first if all(scores.get(name) == first[name] for scores in others)}


def _trained(session: Session, seconds: float) -> bool:
    """Take steps until the model's answers suit their own targets beyond chance."""
    given, asked = session.batches("train", limit=10), session.batches("valid", limit=2)
    end, steps = session.seconds_left - seconds, 0
    for look in STEPS:
        while steps < look * max(session.claims.accumulation, 1) and session.seconds_left > end:
            session.step(nested.clone(given[steps % len(given)]))
            steps += 1
        pairing = controls.pairing(session, session.model, asked)
        if pairing is None or pairing.certain:
            return pairing is not None
    return False


@fault(expect=Status.WARN)
def metric_of_the_shares(subject: Subject) -> Subject:
    """What is reported is how sure the model is, not how often it is right."""

    def evaluate(model: nn.Module, loader: Iterable[Any]) -> Scores:
        with evaluating(model), torch.no_grad():
            sure = torch.cat([subject._given("predict")(model, batch).softmax(-1).amax(-1) for batch in loader])
        return {"accuracy_like": float(sure.double().mean())}

    return replace(subject, evaluate=evaluate)
