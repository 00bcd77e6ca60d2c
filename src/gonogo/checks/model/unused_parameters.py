"""A parameter without gradient is dead weight, or the sign of a cut graph."""

import re
from dataclasses import replace

from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.loss.inner_gradients import differentiated
from gonogo.instruments.step.optional_parts import optional
from gonogo.instruments.step.training_steps import Trace, training_steps
from gonogo.training.session import Session
from gonogo.training.subject import Subject

MORE = (4, 8, 12)  # further steps, as long as a parameter seems unused


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("unreached", fail=0, source="ours: no gradient at any step is a fact, not a statistic"),
        at_most("silent", warn=0, source="ours: exact zeros have legal causes (dead units, gates), so a warning"),
        at_most("conditional", warn=0, source="ours: one way of several is taken; the others may be for other inputs"),
        at_most("optional", warn=0, source="ours: a library's model has parts that not every training has a use for"),
    ],
    since="0.1",
)
def unused_parameters(session: Session, *, steps: int = 3) -> Observation:
    """Every trainable parameter gets a gradient | Trainable parameters get no gradient

    What: takes some optimizer steps and counts trainable parameters by what arrives: `unreached` no gradient at any
        step, `silent` gradients that were exactly zero at every step, `conditional` either of them, but with a
        sibling of the same name pattern (another layer) that is always used. What seems unused is watched for longer: a
        parameter that some batch uses is used. Left out are those whose siblings take turns (experts, dropped layers)
        and a bias whose effect cancels exactly, beside a weight that learns. Constants of answers that the loss itself
        differentiates (energies) have no gradient by mathematics and count as `silent` at most. `optional` are parts
        that an installed package put into its own model (a pooler, a second tower), if the loss is the same whatever
        they hold; where it changes with them, a graph is cut.
    Why: a layer that is defined but not called, a detach, or a branch cut by no_grad leaves weights at their initial
        values while the loss still falls on the rest. Several steps, because zero-initialised adapters have exact
        zeros at the first one.
    Fix: follow the first name of the table through forward: is the module called, is its output used, does a
        detach(), .data, .item() or no_grad() stand between it and the loss? Delete it, or set requires_grad=False.
    Shapes: any.
    Units: all counts: parameters (tensors).
    Source: pytorch.org DistributedDataParallel, find_unused_parameters; measured: one step accuses LoRA.
    """
    traces = _watched(session, steps)
    if not traces:
        raise NotApplicable("no parameter is trainable")
    if not traces[0].norms:
        raise NotApplicable("the subject's step never called optimizer.step()")
    learning = [trace for trace in traces if not _is_idle(trace)]
    modules = {trace.name.rpartition(".")[0] for trace in learning}
    turns = {_family(trace) for trace in learning if _takes_turns(trace)}
    idle = [t for t in traces if _is_idle(t) and _family(t) not in turns]
    inner = differentiated(session) if any(trace.unreached for trace in idle) else frozenset[str]()
    constant = [trace for trace in idle if trace.silent or trace.name.rpartition(".")[0] in inner]
    idle = [trace for trace in idle if trace not in constant or not _cancels(trace, modules)]
    families = {_family(trace) for trace in learning}
    conditional = [trace for trace in idle if _family(trace) in families]
    unreached = [trace for trace in idle if trace not in constant and trace not in conditional]
    silent = [trace for trace in idle if trace in constant and trace not in conditional]
    spare = optional(session, [trace.name for trace in unreached]) if unreached else frozenset[str]()
    groups = {"unreached": [trace for trace in unreached if trace.name not in spare], "silent": silent}
    groups |= {"conditional": conditional, "optional": [trace for trace in unreached if trace.name in spare]}
    rows = [(trace.name, kind, str(trace.shape)) for kind, group in groups.items() for trace in group]
    return Observation(
        {kind: Measurement(len(group), "{parameter}", n=len(traces[0].norms)) for kind, group in groups.items()},
        (
            Table(
                f"Parameters without gradient in {len(traces[0].norms)} steps",
                ("parameter", "kind", "shape"),
                tuple(rows),
            ),
        ),
    )


def _watched(session: Session, steps: int) -> list[Trace]:
    """The trainable parameters over a few steps, and over more as long as one of them seems unused."""
    # What is claimed to be frozen is meant to get no gradient, even if requires_grad was left on.
    meant = session.claims.frozen
    calls = steps * max(1, session.claims.accumulation)
    traces = [trace for trace in training_steps(session, steps=calls).traces if not trace.name.startswith(meant)]
    for more in MORE:
        if not any(map(_is_idle, traces)) or session.seconds_left < 0:
            break
        norms = {trace.name: trace.norms for trace in training_steps(session, steps=more).traces}
        traces = [replace(trace, norms=trace.norms + norms[trace.name]) for trace in traces]
    return traces


def _is_idle(trace: Trace) -> bool:
    return trace.unreached or trace.silent


def _takes_turns(trace: Trace) -> bool:
    """Was it used at one step and not at a later one? Then its siblings may be waiting for their turn."""
    used = [norm not in (None, 0.0) for norm in trace.norms]
    return used.index(True) < len(used) - 1 - used[::-1].index(False) if False in used else False


def _cancels(trace: Trace, modules: set[str]) -> bool:
    """Is it a bias beside a weight that learns? Then what follows subtracts it: a difference, a norm."""
    module, _, name = trace.name.rpartition(".")
    return "bias" in name and module in modules


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
