"""Gradients should be numbers, and neither gone nor enormous when they reach the weights."""

import statistics

from torch import nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation
from gonogo.errors import NotApplicable
from gonogo.instruments.step import gradient_scale
from gonogo.instruments.step.gradient_scale import VANISHED, finite, reference
from gonogo.instruments.step.training_steps import Trace, training_steps
from gonogo.training.session import Session
from gonogo.training.subject import Subject

EXPLODED = 1e3
ALIKE = 100.0  # times: losses of the first steps that differ more are not a size


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[
        at_most(
            "non_finite", fail=0, source="exact: the step makes such weights nan; steps that are skipped count not"
        ),
        at_most("exploding", warn=EXPLODED, source="measured on toys and healthy programs: 0.01 to 30"),
        at_most("vanished_share", warn=0.2, source="measured on toys and examples: 0"),
        at_most("vanished_parts", warn=0, source="ours: a part of which no matrix learns; healthy programs: 0"),
    ],
    explains=("learning.", "optimizer.update-size"),
    since="0.1",
)
def vanishing_exploding(session: Session, *, steps: int = 3) -> Observation:
    """Gradients have a usable size | Gradients explode, vanish or are no numbers

    What: takes some optimizer steps and reads each parameter's gradient norm before it is applied. `non_finite` counts
        parameters with nan or infinite gradients at the first step that the optimizer took with such. `exploding` is
        how many times the loss would change by its own size if one parameter moved by its own along the gradient, for
        the parameter where that is most. `vanished_share` is the share of matrices with a gradient more than a million
        times smaller than the median one, `vanished_parts` counts parts of the model (encoder, fusion, head) of which
        all are. The tables give mean, deviation, least and most by part and by parameter, and what to do.
    Why: where the loss changes a thousand times faster than the weights, a step of any useful size lands anywhere, and
        clipping leaves only a direction that holds nowhere; vanished gradients mean that a part will not learn.
    Fix: exploding: look for recurrences or deep stacks without normalisation, and for very steep functions.
        Vanished: look for saturated activations, a missing normalisation or residual, an initialisation too small.
        Not finite: look for the logarithm, root or division of a zero; scale or clip half-precision losses.
    Shapes: any; `exploding` for losses above zero.
    Units: exploding, vanished_share, gradient_norm: 1; non_finite: parameters; vanished_parts: parts.
    Source: ours; a ratio of relative changes, because norms depend on the model's width and the loss's unit.
    """
    steps_seen = training_steps(session, steps=steps * max(1, session.claims.accumulation))
    broken = gradient_scale.broken(steps_seen.traces)
    seen = [trace for trace in steps_seen.traces if any(finite(trace)) and trace.name not in broken]
    if not seen and not broken:
        raise NotApplicable("no parameter has a gradient; model.unused-parameters tells why")
    found = {"non_finite": Measurement(len(broken), "{parameter}", n=len(steps_seen.traces))}
    growth = _growth(seen, steps_seen.losses) if seen else {}
    if seen:
        found |= _vanished(seen)
        found["gradient_norm"] = Measurement(sum(_mean(trace) ** 2 for trace in seen) ** 0.5, n=steps)
    if growth:
        found["exploding"] = Measurement(max(growth.values()), n=steps)
    exploding = frozenset(name for name, value in growth.items() if value > EXPLODED)
    return Observation(found, gradient_scale.tables(steps_seen.traces, exploding))


def _vanished(seen: list[Trace]) -> dict[str, Measurement]:
    """Vectors such as biases may be tiny by right; layers are judged by their matrices."""
    matrices = [trace for trace in seen if len(trace.shape) > 1] or seen
    gone = [trace for trace in matrices if _mean(trace) < VANISHED * reference(seen)]
    parts = [one for one in gradient_scale.by_part(seen) if one.kind == "vanishing"]
    return {
        "vanished_share": Measurement(len(gone) / len(matrices), n=len(matrices)),
        "vanished_parts": Measurement(len(parts), "{part}"),
    }


def _growth(seen: list[Trace], losses: tuple[float, ...]) -> dict[str, float]:
    """How often the loss changes by its own size while a parameter does; nothing where the loss has no size.

    Is zero the floor of the loss, and far away? Surrogates of rewards and densities cross it.
    """
    if not (min(losses) > 0 and max(losses) < ALIKE * min(losses)):
        return {}
    return {trace.name: _mean(trace) * trace.weight / statistics.mean(losses) for trace in seen}


def _mean(trace: Trace) -> float:
    return statistics.fmean(finite(trace))


@fault(expect=Status.WARN, toy="regressor")
def folded_answer(subject: Subject) -> Subject:
    """The answer goes through a function that is far too steep."""
    return subject.map_outputs(lambda output: (1e5 * output).sin())


def _first_half(subject: Subject, factor: float) -> Subject:
    """The gradients of the first half of the matrices are multiplied."""

    def change(model: nn.Module) -> nn.Module:
        matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
        for parameter in matrices[: max(1, len(matrices) // 2)]:
            parameter.register_hook(lambda gradient: gradient * factor)
        return model

    if sum(parameter.dim() > 1 for parameter in subject._given("model")().parameters()) < 2:
        raise NotApplicable("the model has a single matrix")
    return subject.map_model(change)


@fault(expect=Status.WARN)
def saturated_first_layer(subject: Subject) -> Subject:
    """The output of the first layer is scaled by 1e-9 on its way back."""
    return _first_half(subject, 1e-9)


@fault()
def infinite_gradients(subject: Subject) -> Subject:
    """A finite loss has gradients that are not numbers: a root at zero."""
    return _first_half(subject, float("nan"))
