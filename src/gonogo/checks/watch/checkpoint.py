"""What a checkpoint leaves out, a resumed run begins anew."""

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Event, Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch.evidence import lines, observed
from gonogo.watch.recorded import followed, recorded

COUNTERS = ("epoch", "step", "iteration", "iter", "global_step")


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("left_out", warn=0, source="ours: it may be saved elsewhere, so a warning"),
        at_most("empty", fail=0, source="exact: the state_dict of a model, without a single tensor"),
    ],
    since="0.6",
)
def checkpoint(session: Session) -> Observation:
    """Checkpoints hold what resuming needs | Checkpoints leave out what resuming needs

    What: reads what torch.save was given, where it is meant for resuming: it holds an optimizer or a counter besides
        weights. `left_out` counts what the run has and the fullest of these checkpoints has not: optimizer, scheduler,
        loss scaler, a counter of epochs or steps. Whether random states are in it is in the table. `empty` counts files
        that were given a state_dict with nothing in it: that of a model whose layers stand in a plain list, say.
    Why: a resumed run without the scheduler starts its warm-up again; without the optimizer Adam begins from nothing.
    Fix: save the state_dict of each of them beside that of the model, and load all of them.
    Shapes: any.
    Units: left_out: {part}; empty: {file}.
    Source: torchtitan issue 1213; transformers issue 1987; luxonis-train issue 384.
    """
    recording = recorded(session.subject)
    saved = recording.of("save")
    saves = [event for event in saved if _for_resuming(event)]
    empty = [event for event in saved if event["holds"] == "no weights"]
    if not saves and not empty:
        raise NotApplicable("no checkpoint that is meant for resuming was seen")
    measured = {"empty": Measurement(len(empty), "{file}", n=len(saved))}
    rows = [("saved without a tensor at", lines(empty))] if empty else []
    if saves:
        fullest = max(saves, key=lambda event: len(_parts(event)))
        has, wanted = _parts(fullest), _wanted(recording)
        measured["left_out"] = Measurement(len(wanted - has), "{part}", n=len(saves))
        parts = sorted(wanted | {"weights", "random state"}, key=lambda part: (part not in wanted - has, part))
        rows += [(part, "yes" if part in has else "no") for part in parts]  # what is missing comes first
        rows.append(("saved at", lines(saves)))
    return observed(measured, [Table("The fullest checkpoint", ("part", "is in it"), tuple(rows))])


def _wanted(recording: Recording) -> set[str]:
    """What the run has and would begin anew without."""
    wanted = {"optimizer", "counter"}
    wanted |= {"scheduler"} if recording.of("tick") else set()
    return wanted | ({"scaler"} if recording.of("scale") else set())


def _for_resuming(event: Event) -> bool:
    parts = _parts(event)
    return bool({"weights", "module"} & parts) and bool({"optimizer", "counter"} & parts)


def _parts(event: Event) -> set[str]:
    entries = event["entries"]
    counters = {"counter" for name in entries if _counts(name.lower())}
    named = {part for part in ("scheduler", "scaler") for name in entries if part in name.lower()}
    named |= {"scheduler" for name in entries if "sched" in name.lower()}
    return set(entries.values()) | counters | named


def _counts(name: str) -> bool:
    """Is it an epoch or a step? Below a part of its own only by its whole name: there are settings as well."""
    part, _, inner = name.rpartition(".")
    return inner in COUNTERS if part else any(word in name for word in COUNTERS)


@fault(toy="watched", expect=Status.WARN)
def the_scheduler_is_left_out(subject: Subject) -> Subject:
    """The checkpoint has weights, optimizer and epoch."""
    entries = {"model": "weights", "optimizer": "optimizer", "epoch": "int"}
    save = {"kind": "save", "step": 20, "holds": "mapping", "entries": entries}
    return followed(subject, save)


@fault(toy="watched")
def nothing_is_saved(subject: Subject) -> Subject:
    """The layers stand in a list, so the state_dict is empty."""
    save = {"kind": "save", "step": 20, "holds": "no weights", "entries": {}}
    return followed(subject, save)
