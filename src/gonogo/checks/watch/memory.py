"""What every step leaves behind ends the run hours later."""

from dataclasses import replace

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence

LEAST = 20
MIB = 2**20


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("kept_graphs", warn=8, source="ours: healthy runs keep the graph of the last step, or one per model"),
        at_most("growth", warn=float(MIB), source="ours: 1 MiB per step is 1 GB in a thousand steps"),
    ],
    since="0.6",
)
def memory(session: Session) -> Observation:
    """Steps leave nothing behind | Memory grows with every step

    What: `kept_graphs` is the largest number of graphs of earlier backward passes that something still held.
        `growth` is the slope of the process's resident memory over the second half of the steps that were looked at.
    Why: `total += loss` holds the history of every step: adding up takes longer and longer, and memory grows until the
        run dies.
    Fix: total += loss.item(), or loss.detach(); detach what is put into lists.
    Shapes: any.
    Units: kept_graphs: {graph}; growth: By (per step).
    Source: PyTorch FAQ, "Don't accumulate history across your training loop".
    """
    recording = session.subject.recording or Recording(())
    passes = recording.of("backward")
    if len(passes) < LEAST:
        raise NotApplicable(f"fewer than {LEAST} backward passes were seen")
    measured = {"kept_graphs": Measurement(max(event["graphs"] for event in passes), "{graph}", n=len(passes))}
    sizes = [(event["step"], event["resident"]) for event in recording.of("step") if event.get("resident")]
    later = sizes[len(sizes) // 2 :]
    if len(later) >= 5 and later[-1][0] > later[0][0]:
        measured["growth"] = Measurement(round(_slope(later) / MIB) * MIB, "By", n=len(later))
    return evidence.observed(measured, [Table("Resident memory", ("step", "bytes"), tuple(sizes), kind="line")])


def _slope(points: list[tuple[int, int]]) -> float:
    """Least squares, bytes per step."""
    n = len(points)
    x, y = sum(a for a, _ in points) / n, sum(b for _, b in points) / n
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


@fault(toy="watched", expect=Status.WARN)
def losses_are_added_up_as_tensors(subject: Subject) -> Subject:
    """The running total is a tensor with its history."""
    recording = (subject.recording or Recording(())).edited(
        lambda e: {**e, "graphs": e["number"]} if e["kind"] == "backward" else e
    )
    return replace(subject, recording=recording)
