"""Each update must have its own gradient, all of it, once."""

from collections import Counter
from itertools import pairwise

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_least, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Event
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.recorded import altered, edited, recorded

LEAST, WINDOWS = 3, 5  # sampled steps; windows of accumulation


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    after=("watch.parameters",),
    criteria=[
        at_most("carried", fail=0.25, warn=0.0, source="exact: old + new, bit for bit; 0 where gradients are cleared"),
        at_most("wasted", fail=0.5, warn=0.1, source="exact: cleared before any step; loss scaling skips a few"),
        at_most("repeated", fail=0.25, warn=0.1, source="exact: no backward pass between two steps of one optimizer"),
        at_least("first_window", warn=1.0, source="exact, but one update among many: a window begins at 1, not at 0"),
    ],
    explains=("watch.trend", "watch.nonfinite"),
    since="0.6",
)
def clearing(session: Session) -> Observation:
    """Each update has its own gradient | Gradients are carried over, lost or used twice

    What: follows the gradients of a few parameters of each optimizer through its sampled steps. `carried` is the share
        of steps whose gradient contained, bit for bit, what the step before had used; `wasted` the share after which a
        gradient was cleared before any optimizer took a step; `repeated` the share of steps of an optimizer with no
        backward pass since its step before. The largest of all optimizers counts. `first_window` is how many backward
        passes the first update of the only optimizer had, relative to those that nearly all later ones had.
    Why: without zero_grad every update repeats all gradients since the beginning. With zero_grad at every micro-batch,
        or a step that is indented too little, only the last micro-batch of a window counts. `step % n == 0`, counted
        from 0, makes the first update of one micro-batch.
    Fix: zero_grad, backward, step: once each per update, in this order; with gradient accumulation clear after the
        step only, and step where (step + 1) % n == 0.
    Shapes: any.
    Units: all: 1 (n: sampled steps).
    Source: stackoverflow.com question 60335387; ours.
    """
    recording = recorded(session.subject)
    steps = evidence.steps_of(recording)
    looked = {n: sum("bad_gradients" in event for event in found) for n, found in steps.items()}
    if max(looked.values(), default=0) < LEAST:
        raise NotApplicable(f"gradients were followed through fewer than {LEAST} steps")
    # An attack differentiates for its inputs, and clears what falls to the weights: nothing is lost by it.
    most = 0.0 if any(call.get("asks_inputs") for call in recording.of("call")) else 1.0
    carried, wasted = recording.by("optimizer", "carried"), recording.by("optimizer", "wasted")
    found = {
        number: (
            _carried(carried.get(number, [])),
            min(len({event["step"] for event in wasted.get(number, [])}) / looked[number], most),
            _repeated(steps[number]),
        )
        for number in steps
        if looked[number] >= LEAST
    }
    names = ("carried", "wasted", "repeated")
    measured = {
        name: Measurement(max(shares[index] for shares in found.values()), n=max(looked.values()))
        for index, name in enumerate(names)
    }
    measured["first_window"] = Measurement(min(map(_first_window, steps.values())) if len(steps) == 1 else 1.0)
    backward = evidence.lines(recording.of("backward"))
    rows = tuple((number, *shares, backward, evidence.lines(steps[number])) for number, shares in found.items())
    return evidence.observed(measured, [Table("Optimizers", ("optimizer", *names, "backward", "step"), rows)])


def _carried(events: list[Event]) -> float:
    if len(events) < LEAST:
        return 0.0
    return sum(event["carried"] == event["probes"] for event in events) / len(events)


def _repeated(steps: list[Event]) -> float:
    if not steps[-1]["backwards"]:
        return 0.0  # gradients come another way, through torch.autograd.grad say
    pairs = list(pairwise(steps))
    return sum(a["backwards"] == b["backwards"] for a, b in pairs) / len(pairs) if len(pairs) >= LEAST else 0.0


def _first_window(steps: list[Event]) -> float:
    gaps = [b["backwards"] - a["backwards"] for a, b in pairwise(steps)]
    (usual, times), *_ = Counter(gaps).most_common(1) or [(1, 0)]
    if len(gaps) < WINDOWS or times < 0.8 * len(gaps) or usual < 2 or gaps[0] != usual:
        return 1.0
    return min(steps[0]["backwards"] / usual, 1.0)


@fault(toy="watched")
def never_cleared(subject: Subject) -> Subject:
    """zero_grad is missing."""
    return altered(subject, "carried", carried=3, probes=3)


@fault(toy="watched")
def stepped_twice(subject: Subject) -> Subject:
    """The optimizer steps twice for each backward pass."""
    return altered(subject, "step", backwards=1)


@fault(toy="watched", expect=Status.WARN)
def the_first_update_has_one_micro_batch(subject: Subject) -> Subject:
    """The window ends where step % 4 == 0, and steps are counted from 0."""
    return edited(subject, lambda e: {**e, "backwards": 1 + 4 * e["step"]} if e["kind"] == "step" else e)


@fault(toy="watched")
def cleared_before_the_step(subject: Subject) -> Subject:
    """Every micro-batch clears what the one before brought."""
    return edited(
        subject, lambda e: [e, {"kind": "wasted", "step": e["step"], "optimizer": 0}] if e["kind"] == "step" else e
    )
