"""Gradients should be neither gone nor enormous when they reach the weights."""

import statistics

from torch import nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.training_steps import Trace, training_steps
from gonogo.training.session import Session
from gonogo.training.subject import Subject

VANISHED = 1e-6  # of the median: six orders below the other layers
ALIKE = 100.0  # times: losses of the first steps that differ more are not a size


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("exploding", warn=1e3, source="measured on toys and healthy programs: 0.01 to 30"),
        at_most("vanished_share", warn=0.2, source="measured on toys and examples: 0"),
    ],
    since="0.1",
)
def gradient_norms(session: Session, *, steps: int = 3) -> Observation:
    """Gradients have a usable size | Gradients explode or vanish

    What: takes some optimizer steps and reads each parameter's gradient norm before it is applied. `exploding` is how
        many times the loss would change by its own size if one parameter moved by its own along the gradient, for the
        parameter where that is most: no unit of loss or targets is in it. `vanished_share` is the share of parameters
        with a gradient more than a million times smaller than the median one.
    Why: where the loss changes a thousand times faster than the weights, a step of any useful size lands anywhere, and
        clipping leaves only a direction that holds nowhere; vanished gradients mean that first layers will not learn.
    Fix: exploding: look for recurrences or deep stacks without normalisation, and for very steep functions.
        Vanished: look for saturated activations, a missing normalisation or residual, an initialisation too small.
    Shapes: any; `exploding` for losses above zero.
    Units: exploding, vanished_share: 1.
    Source: ours; a ratio of relative changes, because norms depend on the model's width and the loss's unit.
    """
    steps_seen = training_steps(session, steps=steps)
    seen = [trace for trace in steps_seen.traces if not trace.unreached and not trace.silent]
    if not seen:
        raise NotApplicable("no parameter has a gradient; model.unused-parameters tells why")
    means = {trace.name: _mean(trace) for trace in seen}
    # Vectors such as biases may be tiny by right; layers are judged by their matrices.
    matrices = {trace.name: means[trace.name] for trace in seen if len(trace.shape) > 1} or means
    median = statistics.median(matrices.values())
    vanished = [name for name, norm in matrices.items() if norm < VANISHED * median]
    gradient = sum(norm**2 for norm in means.values()) ** 0.5
    rows = tuple((trace.name, means[trace.name], trace.weight) for trace in seen)
    found = {
        "vanished_share": Measurement(len(vanished) / len(matrices), n=len(matrices)),
        "gradient_norm": Measurement(gradient, n=steps),
    }
    if _has_size(steps_seen.losses):
        size = statistics.mean(steps_seen.losses)
        found["exploding"] = Measurement(max(means[trace.name] * trace.weight for trace in seen) / size, n=steps)
    return Observation(
        found,
        (Table("Gradient norm by parameter", ("parameter", "gradient", "weight"), rows),),
    )


def _has_size(losses: tuple[float, ...]) -> bool:
    """Is zero the floor of the loss, and far away? Surrogates of rewards and densities cross it."""
    return min(losses) > 0 and max(losses) < ALIKE * min(losses)


def _mean(trace: Trace) -> float:
    norms = [norm for norm in trace.norms if norm is not None]
    return sum(norms) / len(norms)


@fault(expect=Status.WARN, toy="regressor")
def folded_answer(subject: Subject) -> Subject:
    """The answer goes through a function that is far too steep."""
    return subject.map_outputs(lambda output: (1e5 * output).sin())


@fault(expect=Status.WARN)
def saturated_first_layer(subject: Subject) -> Subject:
    """The output of the first layer is scaled by 1e-9 on its way back."""

    def change(model: nn.Module) -> nn.Module:
        matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
        for parameter in matrices[: max(1, len(matrices) // 2)]:
            parameter.register_hook(lambda gradient: gradient * 1e-9)
        return model

    if sum(parameter.dim() > 1 for parameter in subject._given("model")().parameters()) < 2:
        raise NotApplicable("the model has a single matrix")
    return subject.map_model(change)
