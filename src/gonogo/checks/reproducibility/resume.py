"""A resumed run must go on where the saved one was, not only with its weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.step import averages, resumed
from gonogo.instruments.step.resumed import Resumed, differing
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_FACT = "ours: state against state; a FAIL only where the claim or the file says that it should be the same"


@check(
    needs={C.MODEL, C.OPTIMIZER, C.TRAIN, C.SAVE},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps", "reproducibility.checkpoint-keys"),
    criteria=[
        at_most("optimizer_lost", fail=0, source=_FACT),
        at_most("rate_error", fail=1e-3, source=_FACT),
        at_most("average_lost", fail=0, source=_FACT),
        at_most("scaler_lost", warn=0, source="ours: a loss scale finds its value again within some steps"),
        at_most("generators_lost", fail=0, source="ours: judged only where an exact resume is claimed"),
    ],
    explains=("reproducibility.checkpoint-roundtrip",),
    since="0.1",
)
def resume(session: Session) -> Observation:
    """A resumed run goes on as the saved one | A resumed run has lost a part of its state

    What: trains some updates, saves, and loads into a new instance under another seed. `optimizer_lost` counts moments
        and counters of the optimizer that differ, `average_lost` averaged weights, `scaler_lost` numbers of the loss
        scaler, `generators_lost` random generators that training draws from; `rate_error` is the largest relative
        difference of the learning rates in the next updates of both. A part that the file leaves out is a failure with
        Claims(resume="exact"), else a warning; one that the file holds and that load does not give back is a failure.
    Why: without its moments Adam starts with steps of full size; without its counter a schedule warms up again, or
        starts again at the top. The loss jumps at each restart, and a run with restarts is not the run of the paper.
    Fix: save and load the state dicts of optimizer, scheduler, scaler and average, the step counter, and for an exact
        resume the states of the random generators.
    Shapes: any.
    Units: optimizer_lost, average_lost, scaler_lost: values; generators_lost: generators; rate_error: 1.
    Source: luxonis-train issue 384, torchtitan issue 1213, lightly-train issue 892, transformers issue 46628.
    """
    seen = resumed.resumed(session)
    exact = session.claims.resume == "exact"
    optimizer = _lost(resumed.state_of(seen.unbroken.optimizer), resumed.state_of(seen.loaded.optimizer))
    had, has = (session.parts(own.model, own.optimizer) for own in (seen.unbroken, seen.loaded))
    average = _lost(*(averages.averaged(p.get("ema"), own.model) for p, own in _pairs(seen, had, has)))
    scaler = _lost(*(resumed.numbers(p["scaler"].state_dict() if "scaler" in p else {}) for p in (had, has)))
    before, after = _rates_ahead(session, seen)
    error = max((abs(a - b) / max(*before, *after, 1e-30) for a, b in zip(before, after, strict=False)), default=0.0)
    # An optimizer that came back says that the file is meant to go on from, so the schedule should come back, too.
    stored = _holds(seen.stored, "optim") or "param_groups" in str(_names(seen.stored))
    going_on = not optimizer and (stored or bool(resumed.state_of(seen.unbroken.optimizer)))
    found = {
        "optimizer_lost": _count(optimizer, exact or stored),
        "rate_error": Measurement(error, low=None if exact or going_on else 0.0, high=error, n=len(before)),
        "average_lost": _count(average, exact or _holds(seen.stored, "ema", "shadow", "average")),
        "scaler_lost": _count(scaler, True),
    }
    if exact:
        found["generators_lost"] = Measurement(len(seen.generators), "{generator}")
    lost = {"optimizer": optimizer, "average": average, "scaler": scaler, "generator": list(seen.generators)}
    rows = tuple((kind, name) for kind, names in lost.items() for name in names)
    ahead = tuple(zip(range(len(before)), before, after, strict=False))
    return Observation(
        found,
        (
            Table("State that did not come back", ("part", "entry"), rows),
            Table("Learning rates of the next updates", ("update", "unbroken", "resumed"), ahead),
        ),
    )


def _pairs(seen: Resumed, had: Any, has: Any) -> list[tuple[Any, Any]]:
    return [(had, seen.unbroken), (has, seen.loaded)]


def _lost(one: dict[str, Any], two: dict[str, Any]) -> list[str]:
    return [path for path, gap in differing(one, two) if gap > 1e-2]  # below it: saved in half precision


def _count(lost: list[str], sure: bool) -> Measurement:
    return Measurement(len(lost), "{value}", low=None if sure else 0.0, high=None if sure else len(lost))


def _holds(stored: Any, *words: str) -> bool:
    """Is there a part of that name in the file?"""
    keys = [str(key).lower() for key in stored] if isinstance(stored, dict) else []
    return any(word in key for key in keys for word in words)


def _names(stored: Any, depth: int = 3) -> list[Any]:
    """The keys of the file, nested as they are: those of an optimizer's state tell it under any name."""
    return [(key, _names(value, depth - 1)) for key, value in stored.items()] if _nested(stored, depth) else []


def _nested(stored: Any, depth: int) -> bool:
    return isinstance(stored, dict) and depth > 0


def _rates_ahead(session: Session, seen: Resumed) -> tuple[list[float], list[float]]:
    batches, ahead = session.batches("train", limit=4), []
    for own in (seen.unbroken, seen.loaded):
        done = len(own.updates)
        for _ in range(resumed.UPDATES):
            own.until_update(batches)
        ahead.append([rate for update in own.updates[done:] for rate in update.rates])
    if not all(ahead):
        raise NotApplicable("the resumed run made no update")
    return ahead[0], ahead[1]


def _saving(subject: Subject, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Subject:
    """A copy whose load sees the file changed."""
    load = subject._given("load")

    def changed(path: Path, model: nn.Module, optimizer: Any) -> None:
        torch.save(change(torch.load(path, weights_only=True)), path)
        load(path, model, optimizer)

    return replace(subject, load=changed)


@fault(toy="recipe")
def moments_not_restored(subject: Subject) -> Subject:
    """The optimizer's moments are not loaded."""
    return _saving(subject, lambda state: {**state, "optimizer": {**state["optimizer"], "state": {}}})


@fault(toy="recipe")
def schedule_not_restored(subject: Subject) -> Subject:
    """The scheduler starts again from its first step."""
    return _saving(subject, lambda state: {**state, "scheduler": {**state["scheduler"], "last_epoch": 0}})


@fault(toy="recipe", expect=Status.WARN)
def loss_scale_not_restored(subject: Subject) -> Subject:
    """The loss scale is not loaded."""
    return _saving(subject, lambda state: {**state, "scaler": {**state["scaler"], "scale": 2.0}})
