"""A loss that falls when predictions get worse."""

from typing import Any

import torch
from torch import Tensor

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.loss.boundless import boundless
from gonogo.instruments.loss.interception import Call, recorded
from gonogo.instruments.loss.pull import pull
from gonogo.training.session import Session, all_of
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    explains=("learning.", "gradient."),
    criteria=[
        at_most("all_reversed", fail=0, source="ours: a run whose every loss grows with its prediction errors"),
        at_most("reversed_terms", warn=0, source="ours: adversarial and entropy terms are negative by right"),
        at_most("unbounded", warn=0, source="ours: repulsion in a loss may be bounded by what the model cannot do"),
        at_most("dead_terms", warn=0, source="ours: a term with factor zero may wait for its turn in a schedule"),
    ],
    since="0.1",
)
def direction(session: Session) -> Observation:
    """Every term of the loss pulls the right way | A term of the loss pulls the wrong way, or not at all

    What: watches the results of torch's loss functions inside the loss, and differentiates the loss by each of them.
        `all_reversed` is 1 if every factor is negative, `reversed_terms` counts negative ones among others,
        `dead_terms` those that do not reach the loss: detached, or a number with factor zero (a loss per sample may be
        masked). `unbounded` counts outputs of the model along which the loss falls without end in a direction and
        against it, as a written-out term may. Where no such function is called, `all_reversed` is 1 if the gradient
        pulls every output of the batch away from its target.
    Why: with the wrong sign, training makes the predictions worse as fast as it can; a term without effect is a
        mechanism of the paper that is switched off.
    Fix: look for a minus sign, a maximised metric, a weight of 0 in the configuration, detach() or item() on a term.
    Shapes: any.
    Units: all_reversed: 1; reversed_terms, dead_terms: terms; unbounded: outputs.
    Source: ours.
    """
    if len(all_of(session.optimizer)) > 1:
        raise NotApplicable("with several optimizers one term pulls against another by design")
    [batch] = session.batches("train", limit=1)
    calls, loss = recorded(session, session.model, batch)
    terms = [call for call in calls if isinstance(call.result, Tensor) and call.result.requires_grad]
    if loss is None or not terms:
        return _by_hand(session, batch)
    if not loss.requires_grad:
        raise NotApplicable("the loss has no gradient; model.unused-parameters tells more")
    sign = _sign(session.optimizer)
    pulls = [_pull(loss, call) for call in terms]
    factors = [sign * _factor(one) for one in pulls]
    negative = sum(factor < 0 for factor in factors)
    every = negative == len(factors)
    rows = [(call.name, factor) for call, factor in zip(terms, factors, strict=True)]
    return Observation(
        {
            "all_reversed": Measurement(float(every), n=len(factors)),
            "reversed_terms": Measurement(0 if every else negative, "{term}", n=len(factors)),
            "unbounded": Measurement(_unbounded(session, batch), "{output}"),
            "dead_terms": Measurement(_dead_terms(terms, pulls), "{term}", n=len(factors)),
        },
        (Table("Factors of the terms", ("term", "derivative of the loss"), tuple(rows)),),
    )


def _by_hand(session: Session, batch: Any) -> Observation:
    """The same of a loss that is written out: does it pull every output away from its target?"""
    away = pull(session, session.model, batch)
    if away is None:
        raise NotApplicable("the loss calls none of the loss functions that are watched, nor compares plain outputs")
    away = away if _sign(session.optimizer) > 0 else 1 - away
    rows = (("written out", away),)
    return Observation(
        {"all_reversed": Measurement(float(away == 1))},
        (Table("Targets that the loss pulls away from", ("loss", "share"), rows),),
    )


def _unbounded(session: Session, batch: Any) -> int:
    """Outputs that a term beside the watched ones drives away without end."""
    if session.claims.couples_batch or _sign(session.optimizer) < 0:
        return 0
    return len(boundless(session, session.copy_model(), batch))


def _pull(loss: Tensor, call: Call) -> Tensor | None:
    """How the loss changes when each element of this term grows; None if it does not reach the loss."""
    assert call.result is not None
    return torch.autograd.grad(loss, [call.result], retain_graph=True, allow_unused=True)[0]


def _dead_terms(terms: list[Call], pulls: list[Tensor | None]) -> int:
    live = [term for term, pull in zip(terms, pulls, strict=True) if not _dead(pull)]
    # A loss that a model computes by itself, beside the weighted one that is used, is no mechanism of its own.
    unused = [pull is None and any(term.compares(one) for one in live) for term, pull in zip(terms, pulls, strict=True)]
    return sum(map(_dead, pulls)) - sum(unused)


def _dead(pull: Tensor | None) -> bool:
    # A loss per sample may be masked as a whole: pseudo-labels of which none is sure enough yet.
    return pull is None or (pull.dim() == 0 and not pull)


def _factor(gradient: Tensor | None) -> float:
    """The sum over its elements."""
    if gradient is None or not gradient.any():
        return 0.0
    # Weights of both signs, as rewards have, are no sign.
    mixed = bool((gradient > 0).any()) and bool((gradient < 0).any())
    return float((gradient.abs() if mixed else gradient).double().sum())


def _sign(optimizer: Any) -> float:
    """-1 for an optimizer that goes uphill.

    Raises:
        NotApplicable: Some of its groups do.
    """
    signs = {-1.0 if group.get("maximize") else 1.0 for one in all_of(optimizer) for group in one.param_groups}
    if len(signs) > 1:
        raise NotApplicable("some groups of the optimizer go uphill, others down")
    return signs.pop() if signs else 1.0


@fault()
def sign_flipped(subject: Subject) -> Subject:
    """The loss is negated."""
    return subject.map_loss(lambda loss: lambda model, batch: -loss(model, batch))


@fault(expect=Status.WARN)
def term_times_zero(subject: Subject) -> Subject:
    """One of two terms has weight zero."""
    return subject.map_loss(lambda loss: lambda model, batch: loss(model, batch) + 0.0 * loss(model, batch))


@fault(toy="regressor")
def written_out_with_a_minus(subject: Subject) -> Subject:
    """Squared errors are written out, with a minus in front."""
    return subject.map_loss(lambda _: lambda model, batch: -(model(batch[0]).squeeze(-1) - batch[1]).square().mean())
