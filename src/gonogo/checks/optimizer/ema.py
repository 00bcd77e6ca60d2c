"""Averaged weights follow the weights, apart from them, and evaluation gives them back."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.step import averages, own_steps
from gonogo.instruments.step.own_steps import OwnSteps
from gonogo.training import batch as nested
from gonogo.training import fingerprint
from gonogo.training.session import Session
from gonogo.training.subject import Subject

UPDATES = 6


@check(
    needs={C.MODEL, C.OPTIMIZER, C.TRAIN, C.EVALUATE},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps"),
    criteria=[
        at_most("not_restored", fail=0, source="ours: evaluation must give back the weights, bit for bit"),
        at_most("no_copy", fail=0, source="ours: an average in the memory of the weights is the weights"),
        at_most("swapped", fail=0, source="ours: the decay is the share of the average, not of the new weights"),
        at_most("unmoved", warn=0, source="ours: averages may start late on purpose, so a warning"),
    ],
    explains=("evaluation.", "reproducibility.", "learning."),
    since="0.1",
)
def ema(session: Session) -> Observation:
    """Averaged weights are an average | Averaged weights are none, or stay in the model

    What: takes some updates, then runs the run's own evaluation. `not_restored` counts weights and buffers that are not
        what they were before it. With an average among the parts: `no_copy` counts averaged tensors that live in the
        memory of the weights; `swapped` is 1 if every update kept 1 - decay of the average in place of the decay;
        `unmoved` is 1 if the weights moved and the average never did.
    Why: a forgotten restore lets training go on from the average, which undoes most of each epoch. An average by
        reference, or with swapped factors, is the last weights under another name.
    Fix: copy the weights (clone, deepcopy) when the average is made; average = decay * average + (1 - decay) * weight;
        put the weights back in a finally block after evaluation; update once per optimizer step.
    Shapes: any.
    Units: not_restored, no_copy: tensors; swapped, unmoved: 1.
    Source: lightly-train issue 892, YOLOX issue 1318, schnetpack issue 785, diffusers issue 2321.
    """
    own = OwnSteps(session)
    batches = session.batches("train", limit=4)
    average = session.parts(own.model, own.optimizer).get("ema")
    if average is None:
        raise NotApplicable("the subject keeps no average of its weights (no 'ema' among its parts)")
    trace: list[tuple[averages.Weights, averages.Weights]] = []
    while len(trace) < UPDATES and session.seconds_left > 0 and own.until_update(batches):
        trace.append(
            (
                averages.copied(dict(own.model.named_parameters())),
                averages.copied(averages.averaged(average, own.model)),
            )
        )
    if not trace:
        raise NotApplicable("the subject's step never called optimizer.step()")
    found, kept = {}, [(step, averages.share_kept(trace, step)) for step in range(1, len(trace))]
    if trace[-1][1]:
        moved = any(not torch.equal(trace[0][0][name], trace[-1][0][name]) for name in trace[0][1])
        found["no_copy"] = Measurement(
            len(averages.aliased(averages.averaged(average, own.model), own.model)), "{tensor}"
        )
        found["swapped"] = Measurement(int(_swapped([share for _, share in kept], _decay(session, average))))
        found["unmoved"] = Measurement(int(moved and all(share is not None and share > 1 - 1e-9 for _, share in kept)))
    found["not_restored"] = Measurement(len(_left_changed(session, own.model)), "{tensor}")
    table = Table("Share of the average that each update kept", ("update", "share"), tuple(kept))
    return Observation(found, (table,) if trace[-1][1] else ())


def _swapped(shares: list[float | None], decay: float | None) -> bool:
    known = [share for share in shares if share is not None]
    if decay is None or not 0.6 < decay < 1 or len(known) < UPDATES - 2:
        return False
    return all(abs(share - (1 - decay)) < 0.05 * (1 - decay) + 1e-4 for share in known)


def _decay(session: Session, average: Any) -> float | None:
    """The decay as the average, or else the configuration, names it."""
    names = ("decay", "ema_decay", "beta")
    config = session.subject.config if isinstance(session.subject.config, Mapping) else {}
    given = [getattr(average, name, None) for name in names] + [
        value for path, value in nested.walk(config) if "ema" in path.lower() and "decay" in path.lower()
    ]
    return next((float(value) for value in given if isinstance(value, float)), None)


def _left_changed(session: Session, model: nn.Module) -> list[str]:
    """Weights and buffers that the run's own evaluation did not put back."""
    before = {name: fingerprint.digest(value) for name, value in model.state_dict().items()}
    own_steps.evaluate(session, model)
    return fingerprint.changed(before, {name: fingerprint.digest(value) for name, value in model.state_dict().items()})


def _with_average(subject: Subject, make: Any, follow: Any) -> Subject:
    def parts(model: nn.Module) -> Mapping[str, Any]:
        return {"ema": vars(model).setdefault("_average", make(model))}

    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        loss = subject._given("loss")(model, batch)
        loss.backward()
        optimizer.step()
        follow(parts(model)["ema"], model)
        return float(loss.detach())

    return replace(subject, step=step, parts=parts)


@fault()
def average_by_reference(subject: Subject) -> Subject:
    """The average holds the weights themselves."""
    return _with_average(subject, lambda model: dict(model.named_parameters()), lambda average, model: None)


@fault(toy="recipe")
def average_stays(subject: Subject) -> Subject:
    """Evaluation leaves the average in the model."""
    evaluate = subject._given("evaluate")

    def kept(model: nn.Module, loader: Any) -> Any:
        found = evaluate(model, loader)
        with torch.no_grad():
            next(iter(model.parameters())).mul_(0.9)
        return found

    return replace(subject, evaluate=kept)


@fault(expect=Status.WARN)
def average_never_updated(subject: Subject) -> Subject:
    """The average is made and never updated."""
    ema = get_ema_multi_avg_fn(0.9)
    return _with_average(subject, lambda model: AveragedModel(model, multi_avg_fn=ema), lambda average, model: None)
