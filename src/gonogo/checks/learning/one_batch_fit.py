"""A model that cannot memorise one batch cannot learn a data set."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.step.one_batch import ACCUSED, LEARNED, Try, fitted
from gonogo.training.session import Session, all_of
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("loss_ratio", warn=0.9, source="measured on toys and examples: 0.001 to 0.4 after 200 steps"),
        at_most("best_loss_ratio", fail=0.93, source="measured: nothing to learn gives 0.95 to 1.3"),
    ],
    since="0.1",
)
def one_batch_fit(session: Session, *, steps: int = 200) -> Observation:
    """One batch can be fitted | One batch cannot be fitted

    What: takes one training batch and applies optimizer steps to it alone, with the run's own step and learning rate.
        `loss_ratio` is the mean of the last losses divided by the first; it stops early once the batch is learned.
        `best_loss_ratio` is the best of three tries, where the learning rate is raised tenfold and hundredfold if the
        first does not do. A loss that dice or the step's own state (queues, teachers) move is compared again with
        that of the first weights under the same dice and state.
    Why: with one batch there is nothing to generalise. A loss that stays up at every learning rate means that the
        gradient does not reach the weights, or that inputs and targets have nothing to do with each other.
    Fix: look at model.unused-parameters and model.late-parameters first, then whether a sample's target is the same at
        each reading. If only a higher rate learns, the rate (or the first value of its schedule) is too low.
    Shapes: any.
    Units: loss_ratio, best_loss_ratio: 1.
    Source: A. Karpathy, A Recipe for Training Neural Networks (2019), "overfit one batch".
    """
    if len(all_of(session.optimizer)) > 1:
        raise NotApplicable("the losses of players in a game need not fall")
    [batch] = session.batches("train", limit=1)
    tries: dict[float, Try] = {}
    for factor in (1.0, 10.0, 100.0):
        tries[factor] = fitted(session, batch, steps, factor)
        if tries[factor].ratio < LEARNED or session.seconds_left < 0:
            break
    first = tries[1.0]
    if first.losses[0] == 0:
        raise NotApplicable("the loss of the first batch is exactly 0, so it cannot fall")
    cut = len(first.losses) < steps and first.ratio >= LEARNED
    best = min(one.fair for one in tries.values())
    if best > ACCUSED and any(one.undecided for one in tries.values()):
        raise NotApplicable("the loss of the same weights moves by itself (noise, queues, teachers)")
    rows = list(enumerate(first.losses))
    return Observation(
        {
            "loss_ratio": _bounded(first.fair, cut, len(first.losses)),
            "best_loss_ratio": _bounded(best, cut or (len(tries) < 3 and best >= LEARNED), len(first.losses)),
        },
        (
            Table("Loss on one batch", ("step", "loss"), tuple(rows), kind="line"),
            Table(
                "What was tried",
                ("learning rate times", "steps", "first loss", "last loss"),
                tuple((f, len(one.losses), one.losses[0], one.losses[-1]) for f, one in tries.items()),
            ),
        ),
    )


def _bounded(ratio: float, cut_short: bool, steps: int) -> Measurement:
    """With more time the ratio might have fallen further, so a run cut short decides nothing against the subject."""
    if cut_short and ratio > 0:
        return Measurement(ratio, low=0.0, high=ratio, n=steps)
    return Measurement(ratio, n=steps)


@fault()
def detached_output(subject: Subject) -> Subject:
    """The output is detached, so no gradient reaches the weights."""
    return subject.map_outputs(lambda output: output.detach().requires_grad_())


@fault()
def optimizer_without_weights(subject: Subject) -> Subject:
    """The optimizer holds another model's weights."""

    def change(factory: Any) -> Any:
        def build(model: nn.Module) -> Optimizer:
            return factory(subject._given("model")())

        return build

    return subject.map_optimizer(change)


@fault()
def climbing(subject: Subject) -> Subject:
    """The loss is minimised with the wrong sign of its gradient."""

    class Flip(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, loss: Tensor) -> Tensor:
            return loss.clone()

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Tensor:
            return -gradients[0]

    return subject.map_loss(lambda loss: lambda model, batch: Flip.apply(loss(model, batch)))
