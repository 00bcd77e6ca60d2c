"""The loss of the run's own training must fall, and not rise."""

from dataclasses import replace
from typing import Any

from torch import Tensor

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.loss.curves import Curve, curve, other_targets
from gonogo.training.session import Session, all_of
from gonogo.training.subject import Subject

FALLEN = 0.95
SURE = 3.0  # standard errors
LITTLE = 0.01  # relative: weights that went less far say nothing of where they go


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps", "learning.one-batch-fit"),
    criteria=[at_most("loss_ratio", warn=FALLEN, source="MAFT-3.3; healthy programs: 0.03 to 0.9, or undecided")],
    since="0.5",
)
def loss_falls(session: Session, *, steps: int = 40, batches: int = 10, seconds: float = 2.0) -> Observation:
    """The loss falls | The loss does not fall

    What: takes steps of the run's own step function on its training batches in turn, and again with the targets of each
        batch exchanged among its samples. `loss_ratio` is the median loss of the last fifth of the steps over that of
        the first; `control_ratio` the same of the control, `gain` how much lower the run ends than its control,
        relative: about 0 as long as only the shares of the targets have been learned. Undecided, and so not judged, are
        a curve within its own scatter, a learning rate that still warms up, and weights that hardly moved.
    Why: a loss that stays or climbs while the weights move is a rate too high, a target drawn anew, or a gradient of
        something else; one-batch-fit cannot see what differs from batch to batch.
    Fix: a tenth of the learning rate first; then look at the curve: flat from the start points to targets or the loss,
        a fall and a rise to the rate or its schedule.
    Shapes: any.
    Units: loss_ratio, control_ratio, gain, moved: 1 (n: steps).
    Source: ours; the control is that of Zhang et al., Understanding deep learning requires rethinking generalization.
    """
    if len(all_of(session.optimizer)) > 1:
        raise NotApplicable("the losses of players in a game need not fall")
    given = session.batches("train", limit=batches)
    own = curve(session, given, steps, seconds)
    exchanged = other_targets(given, session.claims, session.seed)
    control = curve(session, exchanged, len(own.losses), seconds) if exchanged and own.finite else None
    found = {"loss_ratio": _judged(own, steps), "moved": Measurement(own.moved, n=len(own.losses))}
    if control is not None and control.finite and len(control.losses) == len(own.losses):
        found["control_ratio"] = Measurement(control.ratio, n=len(control.losses))
        found["gain"] = Measurement(_gain(own, control), n=len(control.losses))
    return Observation(found, (_table(own, control),))


def _judged(own: Curve, steps: int) -> Measurement:
    """The ratio, where the steps decide it."""
    count, ratio, noise = len(own.losses), own.ratio, SURE * own.noise
    if not own.finite or ratio <= FALLEN:
        return Measurement(ratio if own.finite else float("nan"), n=count)
    if ratio - noise <= FALLEN or (abs(ratio - 1) <= noise and count < steps):
        raise NotApplicable(f"inconclusive: after {count} steps the loss is {ratio:.3f} times the first, +-{noise:.3f}")
    if own.warming:
        raise NotApplicable(f"inconclusive: after {count} steps the learning rate still rises")
    if own.moved < LITTLE or (ratio < 1 and count < steps):
        raise NotApplicable(f"inconclusive: {count} steps moved the weights by {own.moved:.1%}; raise `steps`")
    return Measurement(ratio, low=ratio - noise, high=ratio + noise, n=count)


def _gain(own: Curve, control: Curve) -> float:
    last, beside = sum(own.ends[1]), sum(control.ends[1])
    return (beside - last) / (abs(beside) or 1.0)


def _table(own: Curve, control: Curve | None) -> Table:
    beside = control.losses if control is not None else ()
    rows = [(step, loss, beside[step] if step < len(beside) else None) for step, loss in enumerate(own.losses)]
    return Table("Loss by step", ("step", "loss", "with exchanged targets"), tuple(rows), kind="line")


@fault(expect=Status.WARN, toy="seq2seq")
def rate_far_too_high(subject: Subject) -> Subject:
    """The learning rate is a thousand times what it should be."""

    def change(factory: Any) -> Any:
        def build(model: Any) -> Any:
            optimizer = factory(model)
            for group in optimizer.param_groups:
                group["lr"] *= 1000
            return optimizer

        return build

    return subject.map_optimizer(change)


@fault(expect=Status.WARN, toy="multimodal")
def climbing(subject: Subject) -> Subject:
    """The step goes up the gradient."""

    def step(model: Any, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        loss: Tensor = subject._given("loss")(model, batch)
        (-loss).backward()
        optimizer.step()
        return float(loss.detach())

    return replace(subject, step=step)
