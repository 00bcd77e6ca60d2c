"""A loss is about the answers first, and about the weights second."""

from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers import controls, frozen_answers
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject

Gradient = dict[str, Tensor]
ALIKE = 0.01  # relative: a penalty on the weights is the same whatever the batch


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[at_most("outweighed", warn=10.0, source="measured on toys and healthy programs: 0 to 0.01")],
    since="0.2",
)
def weight_penalty(session: Session, *, batches: int = 2) -> Observation:
    """The loss is about the answers | A penalty on the weights outweighs the answers

    What: divides the gradient that the loss has with its answers held fixed, which is that of a penalty on the weights,
        by the gradient that comes through the answers, before training. `outweighed` is the least over some batches;
        the control is the same loss of the same, frozen answers.
    Why: a penalty that is a power of ten too strong drives the weights to zero: the loss falls steeply, every curve
        looks well, and the answers come to be the same for all inputs.
    Fix: divide the strength of the penalty, or average it over the weights instead of adding it up.
    Shapes: any.
    Units: outweighed: 1.
    Source: ours; TheDeepChecker's over-regularised loss.
    """
    model = session.copy_model()
    seen = [_parts(session, model, batch) for batch in session.batches("train", limit=batches)]
    directs = [direct for direct, _ in seen]
    if any(_norm(_minus(direct, directs[0])) > ALIKE * _norm(directs[0]) for direct in directs[1:]):
        raise NotApplicable("the data reach the loss in other ways than through the outputs of the model's calls")
    sizes = [(_norm(direct), _norm(through)) for direct, through in seen]
    ratios = sorted(direct / through for direct, through in sizes if through > 0)
    if not ratios or len(seen) < 2:
        raise NotApplicable("fewer than two batches have a gradient through the outputs of the model's calls")
    columns = ("batch", "gradient of frozen answers", "gradient through the answers")
    table = Table("Where the gradient comes from", columns, tuple((i, *pair) for i, pair in enumerate(sizes)))
    return Observation({"outweighed": Measurement(ratios[0], n=len(ratios))}, (table,))


def _parts(session: Session, model: nn.Module, batch: Any) -> tuple[Gradient, Gradient]:
    """The gradient with the answers held fixed, and the rest of it."""
    given = frozen_answers.answers(session, model, batch)
    if not nested.tensors(given):
        return {}, {}
    whole = _gradient(session, model, batch)
    with controls.instead(model, given):
        direct = _gradient(session, model, batch)
    return direct, _minus(whole, direct)


def _minus(one: Gradient, two: Gradient) -> Gradient:
    return {name: one.get(name, 0.0) - two.get(name, torch.zeros(())) for name in {**one, **two}}


def _gradient(session: Session, model: nn.Module, batch: Any) -> Gradient:
    model.zero_grad(set_to_none=True)
    with torch.enable_grad(), evaluating(model), seeding.seeded(1):
        loss = session.loss(nested.clone(batch), model)
        try:
            if loss.requires_grad:
                loss.backward()
        except RuntimeError as error:  # forces, say, free the graph of the energy outside training
            raise NotApplicable(f"the loss cannot be differentiated in evaluation mode: {error}") from None
    grads = {name: p.grad.detach().to_dense().double() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return grads


def _norm(gradients: Gradient) -> float:
    return float(sum((gradient.square().sum() for gradient in gradients.values()), torch.zeros(()))) ** 0.5


@fault(expect=Status.WARN)
def overwhelming_penalty(subject: Subject) -> Subject:
    """Ten times the sum of the squared weights is added to the loss."""

    def penalty(model: nn.Module) -> Tensor:
        return torch.stack([p.square().sum() for p in model.parameters() if p.requires_grad]).sum()

    return subject.map_loss(lambda loss: lambda model, batch: loss(model, batch) + 10 * penalty(model))
