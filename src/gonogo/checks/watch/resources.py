"""What the watched training takes of the machine: time of a step and of an epoch, memory at its peak."""

from itertools import pairwise
from statistics import median

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_least, number
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Event, Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.recorded import edited, recorded

PROCESS = ("resident", "memory")  # what it holds, and what there is for it, in the events of steps
LEAST = 10  # steps; the first half of them warms up, and is looked at by the watch


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[at_least("headroom", warn=0.1, source="SAFE-6: a tenth free; fragmentation and other processes")],
    since="0.6",
)
def resources(session: Session) -> Observation:
    """There is memory to spare | Memory is nearly used up

    What: `headroom` is the share of the memory that was free at the highest use seen, `peak`: of the GPU what torch had
        handed out, without one what this process held of the machine. `step` is the usual time from one optimizer step
        to the next, `epoch` that of all batches of the training loader at the usual pace.
    Why: longer batches, an evaluation or a later phase need more than the first steps did, and the run ends there.
    Fix: a smaller batch with accumulation, activation checkpointing, lower precision, or a larger device.
    Shapes: any.
    Units: headroom: 1; peak: By; step, epoch: s (n: steps).
    Source: pytorch.org, torch.cuda.max_memory_allocated; ours.
    """
    recording = recorded(session.subject)
    steps = max(evidence.steps_of(recording).values(), key=len, default=[])
    if len(steps) < LEAST:
        raise NotApplicable(f"fewer than {LEAST} optimizer steps were seen")
    measured = {"step": Measurement(_pace(steps), "s", n=len(steps))}
    measured |= _epoch(recording) | _memory(steps)
    if "headroom" not in measured:
        raise NotApplicable("the memory in use was not told: psutil is missing in the script's interpreter")
    rows = [(name, number(float(f"{one.value:.2g}"), one.unit)) for name, one in measured.items()]
    return evidence.observed(measured, [Table("Seen here", ("quantity", "value"), tuple(rows))])


def _pace(events: list[Event]) -> float:
    """The usual seconds from one event to the next."""
    return median(later["at"] - one["at"] for one, later in pairwise(events[LEAST // 2 :]))


def _epoch(recording: Recording) -> dict[str, Measurement]:
    training = {one.number for one in evidence.passes(recording) if one.trains}
    lengths = {number: loader.get("length") or 0 for number, loader in evidence.loaders(recording).items()}
    fetched = [event for event in recording.of("fetch") if event["pass"] in training]
    longest = max((lengths.get(event["loader"], 0) for event in fetched), default=0)
    if len(fetched) < LEAST or not longest:
        return {}
    return {"epoch": Measurement(longest * _pace(fetched), "s", n=longest)}


def _memory(steps: list[Event]) -> dict[str, Measurement]:
    held, whole = ("device_peak", "device_memory") if any(event.get("device_peak") for event in steps) else PROCESS
    peak = max(event.get(held, 0) for event in steps)
    if not peak:
        return {}
    return {
        "peak": Measurement(peak, "By"),
        "headroom": Measurement(1 - peak / max(event.get(whole, 1) for event in steps)),
    }


@fault(toy="watched", expect=Status.WARN)
def memory_is_nearly_full(subject: Subject) -> Subject:
    """The process holds as much as the machine has."""
    return edited(
        subject, lambda event: {**event, "memory": int(1.02 * event["resident"])} if "resident" in event else event
    )
