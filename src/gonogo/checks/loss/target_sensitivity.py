"""A loss must listen to its targets, and not to dice."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.audit import fields
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.frozen_answers import answering, answers, equal, neighbours, value
from gonogo.instruments.answers.recorded_call import wake
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_OURS = "ours: the same numbers bit for bit under one seed"


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("random_target", fail=0, source=_OURS),
        at_most("ignored_claim", fail=0, source=_OURS),
        at_most("ignored_label", warn=0, source="ours: labels may come along for the evaluation only, so a warning"),
    ],
    explains=("learning.", "loss.direction", "reproducibility.", "model.input-dependence"),
    since="0.1",
)
def target_sensitivity(session: Session, *, batches: int = 3) -> Observation:
    """The loss depends on its targets | The loss does not depend on its targets

    What: in evaluation mode, gives half of the samples the target of their neighbour. `ignored_claim` is 1 if the loss
        stays the same although Claims(target=...) names that field and no other matters, `ignored_label` if a claimed
        or likely target does not matter. `random_target` is 1 if, for the same outputs, the loss changes with the
        seed and not with the data.
    Why: a target drawn anew at each call, a label that is overwritten, or predictions compared with themselves give a
        loss that looks like any other, and teaches nothing.
    Fix: look at what the outputs are compared with: is it the field of the batch, from this batch, in this order?
    Shapes: targets with a row per sample.
    Units: all: 1.
    Source: ours, after a published training script that compared its outputs with torch.randn_like of themselves.
    """
    model = session.copy_model()
    wake(model, session.seed)  # a head that starts at zero gives the same outputs for everything
    sizes = [(batch, nested.size(batch) or 0) for batch in session.batches("train", limit=batches)]
    seen = [_seen(session, model, batch, rows) for batch, rows in sizes if rows > 1]
    if not seen:
        raise NotApplicable("the batches have no rows whose targets could be exchanged")
    found = {"random_target": float(all(one.dice and one.deaf for one in seen))}
    ignored = [one for one in seen if one.ignored is not None]
    if ignored:
        # Beside another field that is the target in fact, a claim may name the labels of the evaluation.
        sure = session.claims.target is not None and all(one.deaf for one in ignored)
        found["ignored_claim" if sure else "ignored_label"] = float(all(one.ignored for one in ignored))
    rows = tuple((name, "yes" if value else "no") for name, value in found.items())
    return Observation(
        {name: Measurement(value, n=len(seen)) for name, value in found.items()},
        (Table("What the loss does with its targets", ("finding", "seen"), rows),),
    )


class _Seen(NamedTuple):
    dice: bool  # for the same answers the loss depends on the seed
    deaf: bool  # for the same answers it does not depend on the data
    ignored: bool | None  # it does not depend on the field of the target; None if that field is not known


def _seen(session: Session, model: nn.Module, batch: Any, rows: int) -> _Seen:
    order = neighbours(rows)
    changed = _other_targets(session, batch, order, rows)
    ignored = None if changed is None else value(session, model, changed) == value(session, model, batch)
    first, second = (answers(session, model, batch, seed) for seed in (1, 2))
    if not nested.tensors(first):
        return _Seen(False, False, ignored)
    with answering(model, first):
        base, again = (value(session, model, batch, seed) for seed in (1, 2))
        deaf = base == value(session, model, nested.take_rows(batch, order, rows))
    # If the model was given random things, too, it may be noise that it is asked to remove.
    return _Seen(equal(first, second) and base != again, deaf, ignored)


def _other_targets(session: Session, batch: Any, order: list[int], rows: int) -> Any:
    """The batch with other targets; None if it is not certain which field that is, or all of them are alike."""
    pair = isinstance(batch, list | tuple) and len(batch) == 2
    if session.claims.target is None and not (session.claims.classes and (pair or isinstance(batch, dict))):
        return None
    known = {id(leaf) for _, leaf in nested.walk(fields.roles(batch, session.claims).target)}

    def change(_: str, leaf: Any) -> Any:
        return nested.take_rows(leaf, order, rows) if id(leaf) in known and nested.is_numeric(leaf) else leaf

    other = nested.map_leaves(change, batch)
    return None if equal(batch, other) else other


@fault()
def random_target(subject: Subject) -> Subject:
    """The outputs are compared with noise."""

    def loss(model: nn.Module, batch: Any) -> Tensor:
        output = model(batch["features"])
        return functional.mse_loss(output, torch.randn_like(output))

    return subject.map_loss(lambda _: loss)


@fault(toy="regressor")
def compared_with_itself(subject: Subject) -> Subject:
    """The targets are overwritten with rounded predictions."""
    return subject.map_loss(lambda _: _to_itself)


def _to_itself(model: Callable[..., Tensor], batch: Any) -> Tensor:
    output = model(batch[0]).squeeze(-1)
    return functional.mse_loss(output, output.detach().round())


@fault(expect=Status.WARN, toy="recipe")
def labels_of_its_own(subject: Subject) -> Subject:
    """A classifier learns what it answers already."""

    def loss(model: Any, batch: Any) -> Tensor:
        scores = model(batch["features"])
        return functional.cross_entropy(scores, scores.argmax(-1))

    return subject.with_claims(target=None).map_loss(lambda _: loss)
