"""A parameter without gradient is dead weight, or the sign of a cut graph."""

import re

from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.training_steps import Trace, training_steps
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("unreached", fail=0, source="ours: no gradient at any step is a fact, not a statistic"),
        at_most("silent", warn=0, source="ours: exact zeros have legal causes (dead units, gates), so a warning"),
        at_most("conditional", warn=0, source="ours: experts and dropped layers may just not have had their turn"),
    ],
    since="0.1",
)
def unused_parameters(session: Session, *, steps: int = 3) -> Observation:
    """Every trainable parameter gets a gradient | Trainable parameters get no gradient

    What: takes some optimizer steps and counts trainable parameters by what arrives: `unreached` no gradient at any
        step, `silent` gradients that were exactly zero at every step, `conditional` like unreached but with a
        sibling of the same name pattern (another expert, another layer) that is used.
    Why: a layer that is defined but not called, a detach, or a branch cut by no_grad leaves weights at their initial
        values while the loss still falls on the rest. Several steps, because zero-initialised adapters have exact
        zeros at the first one.
    Fix: follow the first name of the table through forward: is the module called, is its output used, does a
        detach(), .data, .item() or no_grad() stand between it and the loss? Delete it, or set requires_grad=False.
    Shapes: any.
    Units: all counts: parameters (tensors).
    Source: pytorch.org DistributedDataParallel, find_unused_parameters; measured: one step accuses LoRA.
    """
    # What is claimed to be frozen is meant to get none, even if requires_grad was left on.
    meant = session.claims.frozen
    traces = [trace for trace in training_steps(session, steps=steps).traces if not trace.name.startswith(meant)]
    if not traces:
        raise NotApplicable("no parameter is trainable")
    if not traces[0].norms:
        raise NotApplicable("the subject's step never called optimizer.step()")
    used = {_family(trace) for trace in traces if not trace.unreached}
    unreached = [trace for trace in traces if trace.unreached and _family(trace) not in used]
    conditional = [trace for trace in traces if trace.unreached and _family(trace) in used]
    silent = [trace for trace in traces if trace.silent]
    groups = {"unreached": unreached, "silent": silent, "conditional": conditional}
    rows = [(trace.name, kind, str(trace.shape)) for kind, group in groups.items() for trace in group]
    return Observation(
        {kind: Measurement(len(group), "{parameter}", n=steps) for kind, group in groups.items()},
        (Table(f"Parameters without gradient in {steps} steps", ("parameter", "kind", "shape"), tuple(rows)),),
    )


def _family(trace: Trace) -> tuple[str, tuple[int, ...]]:
    """Siblings share it: 'experts.3.weight' and 'experts.0.weight' of one shape. A name without number is alone."""
    return re.sub(r"(?<=\.)\d+(?=\.)", "*", trace.name), trace.shape


class _Wrapped(nn.Module):
    """A model with one more layer, which is not called, or multiplied by zero."""

    def __init__(self, inner: nn.Module, *, use: bool) -> None:
        super().__init__()
        self.inner, self.branch, self.use = inner, nn.Linear(1, 1), use

    def forward(self, *inputs: Tensor) -> Tensor:
        output = self.inner(*inputs)
        return output + 0.0 * self.branch(output.reshape(-1, 1)).reshape(output.shape) if self.use else output


@fault()
def layer_never_called(subject: Subject) -> Subject:
    """A layer is defined and never called."""
    return subject.map_model(lambda model: _Wrapped(model, use=False))


@fault()
def detached_loss(subject: Subject) -> Subject:
    """The output is detached, so no gradient reaches any weight."""
    return subject.map_outputs(lambda output: output.detach().requires_grad_())


@fault(expect=Status.WARN, toy="regressor")
def branch_times_zero(subject: Subject) -> Subject:
    """A branch is multiplied by zero."""
    return subject.map_model(lambda model: _Wrapped(model, use=True))
