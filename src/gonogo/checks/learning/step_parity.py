"""The run's own step must go where its loss says."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_least, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.equivalence import cosine
from gonogo.instruments.step import own_steps
from gonogo.instruments.step.own_steps import OwnSteps
from gonogo.training.session import Session
from gonogo.training.subject import Subject

SMALL = 1e-3  # gradients are scaled by it where they arrive, so that no clipping acts on them
UPDATES = 3


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN, C.STEP},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps", "gradient.carried-over"),
    criteria=[
        at_least(
            "agreement", fail=-0.9, warn=0.0, source="ours: a flipped sign gives -1; steps of other losses differ"
        ),
        at_most("lost", fail=0, source="ours: three updates without any gradient of a loss that has one"),
    ],
    explains=("learning.", "gradient.", "model.unused-parameters"),
    since="0.1",
)
def step_parity(session: Session) -> Observation:
    """The step follows the declared loss downhill | The step does not follow the declared loss

    What: compares what the optimizer holds at the first step of the run's own step function with the gradient of the
        declared loss on the same batches, from the same weights and seeds. `agreement` is the cosine between the two,
        1 where both say the same (with maximize=True the optimizer's sign counts too). `lost` is 1 if the optimizer
        has had no gradient at all at three updates although the loss has one.
    Why: checks of model and loss prove nothing if the step does something else: a minus before backward, a detach,
        gradients cleared between backward and step.
    Fix: look between the loss and optimizer.step(): the sign of what backward() is called on, detach, .item() or
        .data on the way, zero_grad() after backward(), maximize=True.
    Shapes: any.
    Units: agreement, lost: 1.
    Source: ours.
    """
    count = max(session.claims.accumulation, 1)
    batches = session.batches("train", limit=count)
    own = OwnSteps(session)
    own_steps.only_one(own)
    updates = own.until_update(batches, factor=SMALL)
    own_steps.refuse_closures(updates)
    if not updates:
        raise NotApplicable("the subject's step never called optimizer.step()")
    first, calls = updates[0].gradient, own.calls
    sequence = [batches[index % len(batches)] for index in range(calls)]
    parts = own_steps.loss_gradients(session, sequence)
    wanted = sum(parts[1:], parts[0])
    if not float(wanted.norm()):
        raise NotApplicable("the declared loss has no gradient in the weights of the optimizer")
    while not own.updates[-1].gradient.any() and len(own.updates) < UPDATES and own.until_update(batches):
        pass
    lost = not any(bool(update.gradient.any()) for update in own.updates)
    if lost and not type(own.optimizers[0]).__module__.startswith("torch."):
        raise NotApplicable("an optimizer of the run's own may not need gradients")
    rows = (("declared loss", float(wanted.norm()) / calls), ("own step", float(first.norm()) / SMALL))
    found = {"lost": Measurement(int(lost), n=len(own.updates))}
    if first.any():
        found["agreement"] = Measurement(cosine(first, wanted) * _sign(own), n=calls)
    return Observation(found, (Table("Gradients", ("of", "norm"), rows),))


def _sign(own: OwnSteps) -> float:
    signs = {-1.0 if group.get("maximize") else 1.0 for group in own.optimizers[0].param_groups}
    if len(signs) > 1:
        raise NotApplicable("some groups of the optimizer go up and others down")
    return signs.pop()


def _with_step(subject: Subject, backward: Callable[[Tensor, Any], None]) -> Subject:
    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        loss = subject._given("loss")(model, batch)
        backward(loss, optimizer)
        optimizer.step()
        return float(loss.detach())

    return replace(subject, step=step)


@fault()
def sign_flipped(subject: Subject) -> Subject:
    """backward() is called on minus the loss."""
    return _with_step(subject, lambda loss, optimizer: (-loss).backward())


@fault()
def detached(subject: Subject) -> Subject:
    """The loss is detached before backward()."""
    return _with_step(subject, lambda loss, optimizer: loss.detach().requires_grad_().backward())


@fault(toy="vae")
def cleared_too_late(subject: Subject) -> Subject:
    """Gradients are cleared between backward() and step()."""

    def backward(loss: Tensor, optimizer: Any) -> None:
        loss.backward()
        optimizer.zero_grad()

    return _with_step(subject, backward)


@fault(toy="regressor")
def maximised(subject: Subject) -> Subject:
    """The optimizer is told to maximise a loss."""

    def change(factory: Any) -> Any:
        def build(model: nn.Module) -> Any:
            optimizer = factory(model)
            for group in optimizer.param_groups:
                group["maximize"] = True
            return optimizer

        return build

    return _with_step(subject.map_optimizer(change), lambda loss, optimizer: loss.backward())
