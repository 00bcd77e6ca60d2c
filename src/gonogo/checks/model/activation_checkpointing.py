"""Recomputed activations must give the gradients that stored ones give."""

import math
from typing import Any

from torch import nn
from torch.utils.checkpoint import CheckpointError, checkpoint

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers import equivalence
from gonogo.instruments.loss.gradient import differing, loss_gradient, noise, vector
from gonogo.instruments.step import recomputation
from gonogo.training.session import Session
from gonogo.training.subject import Subject

LIMIT = 1e-2


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("error", warn=1e-4, fail=LIMIT, source="ours: 0 where recomputation repeats the forward; noise is off")
    ],
    explains=("model.unused-parameters", "gradient.", "learning."),
    since="0.2",
)
def activation_checkpointing(session: Session) -> Observation:
    """Checkpointed layers have the same gradients | Checkpointed layers have other gradients

    What: where the loss runs torch.utils.checkpoint, computes its gradient in training mode with checkpointing and with
        the same functions called plainly, from equal weights and seeds. `error` is the norm of the difference over the
        norm of the plain gradient; what rounding and unseeded chance do is measured, and is not counted.
    Why: checkpointing is to save memory and nothing else. The reentrant kind cuts off the gradient of layers whose
        input needs none (behind a frozen embedding); without the state of the generators, dropout draws another mask
        in backward than it had in forward, and the gradient belongs to no forward pass that ever was.
    Fix: use_reentrant=False, or model.enable_input_require_grads(); leave preserve_rng_state=True, and draw from
        torch's generators inside checkpointed layers.
    Shapes: any.
    Units: error: 1.
    Source: transformers issue 26221, peft issue 1142; pytorch.org, torch.utils.checkpoint.
    """
    [batch] = session.batches("train", limit=1)
    plain, stored = session.copy_model().train(), session.copy_model().train()
    with recomputation.counted(keep=False) as calls:
        wanted = loss_gradient(session, plain, batch)
        if not calls.count:
            raise NotApplicable("the loss makes no checkpointed call")
        floor = noise(session, batch)
    try:
        seen = loss_gradient(session, stored, batch)
    except CheckpointError as error:  # torch has noticed that the recomputed tensors are others
        return _refused(error)
    if not vector(wanted, plain).any():
        raise NotApplicable("the loss has no gradient at all")
    found = equivalence.compare(vector(seen, stored), vector(wanted, plain), noise=floor)
    rows = tuple(differing(seen, wanted, max(1e-4, equivalence.SPREAD * floor)))
    return Observation(
        {"error": found.measured(LIMIT)},
        (
            found.table("Gradient with checkpointing against without", {}),
            Table("Parameters with another gradient", ("parameter", "relative error"), rows),
        ),
    )


def _refused(error: Exception) -> Observation:
    lines = tuple((line.strip(),) for line in str(error).splitlines() if line.strip())
    return Observation(
        {"error": Measurement(math.inf)}, (Table("The layers do not repeat themselves", ("error",), lines),)
    )


class _Checkpointed(nn.Module):
    """Layers behind a checkpoint."""

    def __init__(self, inner: nn.Module, *, reentrant: bool, preserve: bool = True) -> None:
        super().__init__()
        self.inner, self.reentrant, self.preserve = inner, reentrant, preserve

    def forward(self, *inputs: Any) -> Any:
        return checkpoint(self.inner, *inputs, use_reentrant=self.reentrant, preserve_rng_state=self.preserve)


@fault(toy="regressor")
def dropout_draws_anew(subject: Subject) -> Subject:
    """The generators' state is not kept, and dropout draws another mask when it is recomputed."""

    def change(model: Any) -> nn.Module:
        return nn.Sequential(_Checkpointed(model.append(nn.Dropout()), reentrant=False, preserve=False))

    return subject.map_model(change)


@fault(toy="regressor")
def cut_off_behind_plain_inputs(subject: Subject) -> Subject:
    """The first layers are checkpointed in the reentrant way, and their input needs no gradient."""
    return subject.map_model(
        lambda model: nn.Sequential(_Checkpointed(model[:2], reentrant=True), model[2:])  # type: ignore[index]
    )
