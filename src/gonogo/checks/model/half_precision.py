"""Half precision must cost time and memory, and nothing that is learned."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers import equivalence
from gonogo.instruments.step import half
from gonogo.instruments.step.own_steps import OwnSteps, refuse_closures
from gonogo.instruments.step.replay import replay
from gonogo.training.session import Session
from gonogo.training.subject import Subject

UPDATES, LIMIT = 4, 0.3


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps"),
    criteria=[
        at_most("half_losses", warn=0, source="transformers issue 29285: three digits are left of a loss in bfloat16"),
        at_most("gradient_error", warn=LIMIT, source="ours: bfloat16 costs 0.01 to 0.1; its own noise is taken off"),
        at_most("flushed", warn=0.1, source="ours: gradients below 6e-8 are zero in float16; a loss scale prevents it"),
        at_most("swallowed", warn=0.5, source="ours: updates below half of a weight's last digit do nothing"),
    ],
    since="0.2",
)
def half_precision(session: Session) -> Observation:
    """Half precision loses nothing that matters | Half precision loses digits of losses, gradients or updates

    What: where the run's own step has values in bfloat16 or float16, looks at what they cost. `half_losses` counts loss
        functions whose result is in half precision. `gradient_error` is the difference of the gradient that the
        optimizer holds from that of the same step without casts and autocast, relative to its norm, beyond what
        rounding the weights does; `flushed` the share of its elements that are zero only in half precision. `swallowed`
        is the share of the elements of half-precision weights that the same updates do move in float32.
    Why: bfloat16 has three digits. A loss has none to spare, and a weight of 0.1 does not see an update of 1e-4: the
        run stops learning where a run in float32 would go on. In float16 small gradients are zero without a loss scale.
    Fix: compute the loss from logits.float(); keep weights in float32 and use autocast, or an optimizer with master
        weights, stochastic rounding or compensated sums; use a GradScaler with float16.
    Shapes: any.
    Units: half_losses: losses; gradient_error, flushed, swallowed: 1.
    Source: Micikevicius et al., Mixed Precision Training (2018); TTrace (2025), the noise floor by perturbation.
    """
    own, census, batches = OwnSteps(session), half.Census(), session.batches("train", limit=UPDATES)
    with census:
        refuse_closures(own.until_update(batches))
    formats = set(census.formats) | {p.dtype for p in own.model.parameters() if p.dtype in half.HALF}
    if not formats or not own.updates:
        raise NotApplicable("nothing in the step is in half precision" if own.updates else "the step never updates")
    found = {"half_losses": Measurement(len(census.losses), "{loss}")}
    measured, compared = _gradients(session, own, batches, max(torch.finfo(one).eps for one in formats))
    swallowed = _swallowed(session, own, batches)
    losses = Table("Losses in half precision", ("function", "calls"), tuple(census.losses.items()))
    return Observation(found | measured | swallowed, (losses, *compared))


def _gradients(
    session: Session, own: OwnSteps, batches: list[Any], eps: float
) -> tuple[dict[str, Measurement], tuple[Table, ...]]:
    """The first gradient against that of float32, if the step can be taken in it."""
    try:
        full, shaken = (half.in_full(session, own, batches, noise).updates for noise in (0.0, eps / 2))
    except (RuntimeError, TypeError):  # kernels and buffers may insist on the format
        return {}, ()
    seen = own.updates[0].gradient
    if not (full and shaken) or not bool(torch.isfinite(seen).all()) or not full[0].gradient.any():
        return {}, ()
    wanted = full[0].gradient
    noise = equivalence.relative_error(shaken[0].gradient, wanted)
    found = equivalence.compare(seen, wanted, noise=noise)
    flushed = float(((seen == 0) & (wanted != 0)).sum()) / int((wanted != 0).sum())
    table = found.table("Gradient in half precision against float32", {})
    return {"gradient_error": found.measured(LIMIT), "flushed": Measurement(flushed)}, (table,)


def _swallowed(session: Session, own: OwnSteps, batches: list[Any]) -> dict[str, Measurement]:
    """Elements of weights that the gradients of some updates move in float32 alone."""
    known = all(type(one).__module__.startswith("torch.") for one in own.optimizers)  # others may round at random
    if not known or not any(p.dtype in half.HALF for index in range(len(own.optimizers)) for p in own.held(index)):
        return {}
    while len(own.updates) < UPDATES * len(own.optimizers) and own.until_update(batches):
        pass
    before, full = OwnSteps(session), OwnSteps(session)
    full.model.float()
    moved = [_moved(before, replay(one, own.updates, at_full_rate=True)) for one in (OwnSteps(session), full)]
    stuck, moving = int((moved[1] & ~moved[0]).sum()), int(moved[1].sum())
    return {"swallowed": Measurement(stuck / moving, n=moving)} if moving else {}


def _moved(before: OwnSteps, after: OwnSteps) -> Tensor:
    """Of the half-precision weights of optimizers, which elements are others?"""
    pairs = [p for i in range(len(before.optimizers)) for p in zip(before.held(i), after.held(i), strict=True)]
    changed = [(a != b.to(a)) if a.dtype == b.dtype else (a.to(b) != b) for a, b in pairs if a.dtype in half.HALF]
    return torch.cat([each.flatten() for each in changed])


@fault(expect=Status.WARN)
def loss_in_bfloat16(subject: Subject) -> Subject:
    """The logits are rounded to three digits before their cross-entropy."""
    predict: Any = subject.predict
    key = subject.claims.target

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(predict(model, batch).bfloat16(), batch[key]).float()

    return replace(subject, loss=loss)


@fault(expect=Status.WARN, toy="regressor")
def weights_in_bfloat16(subject: Subject) -> Subject:
    """Weights are kept in bfloat16 alone, and the learning rate is small."""

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return functional.mse_loss(model(batch[0].bfloat16()).float().squeeze(-1), batch[1])

    cast = subject.map_model(lambda model: model.bfloat16())
    return replace(
        cast, loss=loss, predict=None, optimizer=lambda model: torch.optim.AdamW(model.parameters(), lr=1e-5)
    )
