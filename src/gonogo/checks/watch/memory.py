"""What every step leaves behind ends the run hours later."""

from itertools import accumulate, pairwise

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.recorded import edited, recorded

LEAST, PARTS = 20, 3
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
        `growth` is how much of the process's resident memory each step leaves behind for good: the second half of the
        steps is cut into three parts, and the part with the least growth of what never falls again counts.
    Why: `total += loss` holds the history of every step: adding up takes longer and longer, and memory grows until the
        run dies.
    Fix: total += loss.item(), or loss.detach(); detach what is put into lists. Samples that are kept in memory as they
        are first read grow until the end of the first epoch, which is as it should be if they fit.
    Shapes: any.
    Units: kept_graphs: {graph}; growth: By (per step).
    Source: PyTorch FAQ, "Don't accumulate history across your training loop".
    """
    recording = recorded(session.subject)
    passes = recording.of("backward")
    if len(passes) < LEAST:
        raise NotApplicable(f"fewer than {LEAST} backward passes were seen")
    measured = {"kept_graphs": Measurement(max(event["graphs"] for event in passes), "{graph}", n=len(passes))}
    sizes = [(event["step"], event["resident"]) for event in recording.of("step") if event.get("resident")]
    later = sizes[len(sizes) // 2 :]
    if len(later) >= LEAST // 2:
        measured["growth"] = Measurement(_growth(later), "By", n=len(later))
    return evidence.observed(measured, [Table("Resident memory", ("step", "bytes"), tuple(sizes), kind="line")])


def _growth(points: list[tuple[int, int]]) -> float:
    """Bytes per step in the quietest part; pools of memory that grow now and then, and are used again, add nothing."""
    floor = list(accumulate([size for _, size in reversed(points)], min))[::-1]
    cuts = [round(part * (len(points) - 1) / PARTS) for part in range(PARTS + 1)]
    ends = list(pairwise(cuts))
    return min((floor[b] - floor[a]) / max(points[b][0] - points[a][0], 1) for a, b in ends)


@fault(toy="watched", expect=Status.WARN)
def outputs_are_kept(subject: Subject) -> Subject:
    """Every step appends what the model said to a list."""
    return edited(subject, lambda e: {**e, "resident": 500 * MIB + 4 * MIB * e["step"]} if e["kind"] == "step" else e)


@fault(toy="watched", expect=Status.WARN)
def losses_are_added_up_as_tensors(subject: Subject) -> Subject:
    """The running total is a tensor with its history."""
    return edited(subject, lambda e: {**e, "graphs": e["number"]} if e["kind"] == "backward" else e)
