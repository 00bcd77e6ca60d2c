"""Gradient norms sorted by size: by parameter and by part of the model, and what to do about each kind.

A norm depends on the loss's unit and the model's width, so a parameter is judged beside the others; the absolute limits
of the field (1e-6, 1e3) are shown beside it.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gonogo.core.measurement import Table
from gonogo.instruments.step.training_steps import Trace

VANISHED = 1e-6  # of the median matrix
SMALL, LARGE = 1e-6, 1e3  # absolute: shown, never judged, because a loss in other units has other norms
ADVICE = {
    "not finite": "find the first operation that gives nan or inf: a logarithm or root of 0, a division, float16",
    "vanishing": "look for saturated activations, a missing residual or normalisation, a tiny factor above it",
    "exploding": "normalise what goes in, clip the norm, lower the rate; look for steep functions and recurrences",
    "small": "normal where the loss is a small number; with half precision use a loss scaler",
    "large": "normal where the loss is a large number; else scale the targets, or clip the norm",
    "none": "no gradient arrives: see model.unused-parameters",
    "": "",
}


@dataclass(frozen=True, slots=True)
class Norms:
    """Gradient norms of one parameter or part over the observed steps; those that arrived and are finite."""

    name: str
    norms: tuple[float, ...]
    parameters: int
    kind: str

    @property
    def mean(self) -> float:
        return statistics.fmean(self.norms) if self.norms else math.nan

    def row(self) -> tuple[str | float, ...]:
        """name, parameters, mean, standard deviation, least, most, what it is, advice."""
        spread = statistics.pstdev(self.norms) if self.norms else math.nan
        ends = (min(self.norms), max(self.norms)) if self.norms else (math.nan, math.nan)
        return self.name, self.parameters, self.mean, spread, *ends, self.kind or "usual", ADVICE[self.kind]


def finite(trace: Trace) -> tuple[float, ...]:
    """The norms that arrived and are numbers."""
    return tuple(norm for norm in trace.norms if norm is not None and math.isfinite(norm))


def broken(traces: Sequence[Trace]) -> frozenset[str]:
    """The parameters whose gradient was nan or infinite at the first step that had such a one: later all may be."""
    for step in zip(*(trace.norms for trace in traces), strict=True):
        found = {t.name for t, norm in zip(traces, step, strict=True) if norm is not None and not math.isfinite(norm)}
        if found:
            return frozenset(found)
    return frozenset()


def reference(traces: Sequence[Trace]) -> float:
    """The median norm of the matrices: vectors such as biases may be tiny by right."""
    seen = [trace for trace in traces if any(finite(trace))]
    matrices = [trace for trace in seen if len(trace.shape) > 1] or seen
    return statistics.median(statistics.fmean(finite(trace)) for trace in matrices) if matrices else 0.0


def by_parameter(traces: Sequence[Trace], exploding: frozenset[str] = frozenset()) -> tuple[Norms, ...]:
    """Each parameter, worst first."""
    kinds = _kinds(traces, exploding)
    found = [Norms(t.name, finite(t), math.prod(t.shape), kinds[t.name]) for t in traces]
    order = list(ADVICE)
    return tuple(sorted(found, key=lambda one: order.index(one.kind)))


def by_part(traces: Sequence[Trace], exploding: frozenset[str] = frozenset()) -> tuple[Norms, ...]:
    """The parts of the model (encoder, fusion, head): norms over all their parameters at each step."""
    parts: dict[str, list[Trace]] = {}
    for trace in traces:
        parts.setdefault(part(trace.name, [one.name for one in traces]), []).append(trace)
    kinds = _kinds(traces, exploding)
    return tuple(_together(name, members, kinds) for name, members in parts.items())


def _together(name: str, members: list[Trace], of: Mapping[str, str]) -> Norms:
    steps = zip(*(trace.norms for trace in members), strict=True)
    norms = (math.sqrt(sum((norm or 0.0) ** 2 for norm in step)) for step in steps)
    kinds = [of[trace.name] for trace in members if len(trace.shape) > 1]
    worst = [kind for kind in ("not finite", "exploding") if kind in kinds]
    alike = kinds[0] if kinds and len(set(kinds)) == 1 else ""  # one quiet matrix does not make a part vanish
    size = sum(math.prod(trace.shape) for trace in members)
    return Norms(name, tuple(norm for norm in norms if math.isfinite(norm)), size, worst[0] if worst else alike)


def part(name: str, names: Sequence[str]) -> str:
    """The part of the model that a parameter is in: the first key of its name at which the names differ."""
    keys = [other.split(".")[:-1] for other in names]
    shared = 0
    while all(len(key) > shared for key in keys) and len({key[shared] for key in keys}) == 1:
        shared += 1
    own = name.split(".")[:-1]
    return ".".join(own[: shared + 1]) or "(top)"


def _kinds(traces: Sequence[Trace], exploding: frozenset[str]) -> dict[str, str]:
    named, typical = (
        dict.fromkeys(exploding, "exploding") | dict.fromkeys(broken(traces), "not finite"),
        reference(traces),
    )
    return {trace.name: named.get(trace.name) or _kind(trace, typical) for trace in traces}


def _kind(trace: Trace, typical: float) -> str:
    if not any(finite(trace)):
        return "none"
    mean = statistics.fmean(finite(trace))
    if mean < VANISHED * typical and len(trace.shape) > 1:
        return "vanishing"
    return "small" if mean < SMALL else "large" if mean > LARGE else ""


def tables(traces: Sequence[Trace], exploding: frozenset[str] = frozenset()) -> tuple[Table, Table]:
    """The parts of the model, and its parameters, worst first."""
    columns = ("parameters", "mean", "standard deviation", "least", "most", "is", "what to do")
    parts = tuple(one.row() for one in by_part(traces, exploding))
    each = tuple(one.row() for one in by_parameter(traces, exploding))
    return (
        Table("Gradient norm by part of the model", ("part", *columns), parts),
        Table("Gradient norm by parameter", ("parameter", *columns), each),
    )
