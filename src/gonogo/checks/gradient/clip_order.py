"""Clipping must act on the true gradient, before the step."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_least, at_most, within
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.equivalence import cosine
from gonogo.instruments.step import own_steps
from gonogo.instruments.step.own_steps import OwnSteps
from gonogo.training.session import Session
from gonogo.training.subject import Subject

LARGE = 1e4  # arriving gradients are multiplied by it, so that every clipping must act


@check(
    needs={C.MODEL, C.OPTIMIZER, C.TRAIN, C.STEP},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps", "gradient.carried-over"),
    criteria=[
        at_most("clipped_too_late", fail=0, source="ours: gradients that were used at full size, then cut, by facts"),
        at_most("over_limit", fail=1.05, source="ours: the declared norm; no way to clip leaves a larger element"),
        at_least("under_limit", fail=0.1, warn=0.5, source="ours: forgotten unscaling leaves 1/scale of the norm"),
        within("scale_effect", fail=(0.5, 2.0), source="ours: unscaled gradients do not know the scale: 1"),
    ],
    explains=("learning.", "gradient.clipping", "optimizer.update-size"),
    since="0.1",
)
def clip_order(session: Session) -> Observation:
    """Gradients are unscaled, clipped, then used | Gradients are clipped at the wrong moment

    What: multiplies arriving gradients by 10^4 and more, so that clipping must act, and looks at what the optimizer
        holds at its step. `over_limit` is its largest element and `under_limit` its norm, relative to the declared
        Claims(max_norm); `clipped_too_late` is 1 if the step had the full gradient and a cut one was left behind;
        `scale_effect` is the ratio of norms under two loss scales, relative to 1, where the run has a loss scaler.
    Why: clipping after the step protects nothing. Clipping before unscaling compares the limit with a gradient that is
        65,536 times too large: every update is cut to almost nothing, and training is slow for no visible reason.
    Fix: backward, scaler.unscale_(optimizer), clip_grad_norm_, scaler.step(optimizer), scaler.update(), in this order.
    Shapes: any.
    Units: all: 1.
    Source: lightning issue 9606, pytorch/examples issue 1196, apex issue 1512; pytorch.org, AMP examples.
    """
    batches = session.batches("train", limit=max(session.claims.accumulation, 1))
    plain, _ = _held(session, batches, 1.0)
    if not float(plain.norm()):
        raise NotApplicable("the first update has no gradient")
    limit = session.claims.max_norm
    factor = max(LARGE, 1e3 * limit / float(plain.norm()) if limit else 0.0)
    large, left = _held(session, batches, factor)
    found = {"clipped_too_late": Measurement(int(_cut_later(session, batches, factor, large, left)))}
    if limit:
        found["over_limit"] = Measurement(float(large.abs().max()) / (limit * len(batches)))
        found["under_limit"] = Measurement(float(large.norm()) / limit)
    scaler = session.parts(*_instance(session)).get("scaler")
    if scaler is not None and "scale" in scaler.state_dict():
        norms = [float(_held(session, batches, factor, scale)[0].norm()) for scale in (2.0**6, 2.0**10)]
        found["scale_effect"] = Measurement(norms[1] / norms[0] if norms[0] else 1.0)
    rows = (("as it is", float(plain.norm()), None), (f"times {factor:.0e}", float(large.norm()), float(left.norm())))
    return Observation(found, (Table("Norms", ("arriving gradients", "at the step", "left behind"), rows),))


def _instance(session: Session) -> tuple[nn.Module, Any]:
    own = OwnSteps(session)
    return own.model, own.optimizer


def _held(session: Session, batches: list[Any], factor: float, scale: float = 0.0) -> tuple[Tensor, Tensor]:
    """What the optimizers have in hand at their first step, and what is left of it after the call."""
    own = OwnSteps(session)
    if scale:
        scaler = session.parts(own.model, own.optimizer)["scaler"]
        scaler.load_state_dict({**scaler.state_dict(), "scale": scale})
    # A run that skips updates with huge gradients has no update to look at.
    found = own.until_update(batches, factor=factor, patience=own_steps.PATIENCE if factor == 1.0 else 24)
    own_steps.refuse_closures(found)
    if not found:
        raise NotApplicable("there was no update, or none with large gradients")
    first = {update.optimizer: update.gradient for update in reversed(found)}
    return torch.cat([first[i] for i in sorted(first)]), torch.cat([own.gradient(i) for i in sorted(first)])


def _cut_later(session: Session, batches: list[Any], factor: float, at_step: Tensor, left: Tensor) -> bool:
    """Was the gradient used at full size and then cut to a size of its own, in the same direction?"""
    if not float(left.norm()) or not float(left.norm()) < 0.5 * float(at_step.norm()) or cosine(left, at_step) < 0.999:
        return False
    more, left_of_more = _held(session, batches, 10 * factor)
    grown = float(more.norm()) / float(at_step.norm())
    return abs(grown - 10) < 0.1 and abs(float(left_of_more.norm()) / float(left.norm()) - 1) < 1e-2


def _with_step(subject: Subject, body: Callable[[Tensor, nn.Module, Any], None]) -> Subject:
    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        loss = subject._given("loss")(model, batch)
        body(loss, model, optimizer)
        return float(loss.detach())

    return replace(subject, step=step)


@fault()
def clipped_after_the_step(subject: Subject) -> Subject:
    """clip_grad_norm_ comes after optimizer.step(), and no limit was declared."""

    def body(loss: Tensor, model: nn.Module, optimizer: Any) -> None:
        loss.backward()
        optimizer.step()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)

    return _with_step(subject, body)


@fault(toy="regressor")
def declared_but_not_clipped(subject: Subject) -> Subject:
    """A limit is declared and nothing clips."""

    def body(loss: Tensor, model: nn.Module, optimizer: Any) -> None:
        loss.backward()
        optimizer.step()

    return _with_step(subject, body).with_claims(max_norm=1.0)


@fault()
def clipped_before_unscaling(subject: Subject) -> Subject:
    """The scaled gradient is clipped, then divided by the scale."""

    def body(loss: Tensor, model: nn.Module, optimizer: Any) -> None:
        (loss * 1024.0).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for parameter in model.parameters():
            parameter.grad = parameter.grad / 1024.0 if parameter.grad is not None else None
        optimizer.step()

    return _with_step(subject, body).with_claims(max_norm=1.0)
