"""A schedule whose length is counted in one unit and stepped in another does something else than was meant."""

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most, within
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Event, Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.recorded import altered, edited, followed, recorded

LEAST, EPOCHS = 10, 3


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("early", fail=0, source="exact; pytorch.org: optimizer.step() comes before scheduler.step()"),
        at_most("never", fail=0, source="exact: built, and not stepped in the whole script or in three epochs"),
        at_most("astray", fail=0, source="exact: stepped, while another optimizer moves the same parameters"),
        at_most("overrun", fail=1.5, warn=1.01, source="ours: a cosine that is stepped beyond its end rises again"),
        within("ticks_per_step", fail=(0.5, 1.5), source="ours: asked where the length is that of the whole run"),
    ],
    explains=("watch.learning-rate",),
    since="0.6",
)
def schedule(session: Session) -> Observation:
    """Schedules are stepped as long as they are | Schedules are stepped too early, too often, too rarely or never

    What: compares the steps of each scheduler with those of its optimizer. `early` counts schedulers that stepped once
        before the optimizer's first step (not asked where the epoch is given to step(), after a checkpoint was read, or
        under loss scaling, which skips steps). `never` counts those that did not step in a script that reached its end,
        or in three epochs. `astray` are those that go on for an optimizer whose parameters a newer one moves by now.
        `overrun` is how far a cosine went beyond its end within what was meant to be its unit: one epoch.
        `ticks_per_step` is the number of its steps per optimizer step, where its length is the number of optimizer
        steps of the whole script.
    Why: T_max in epochs and a step per batch: the rate swings up and down. T_max in steps and a step per epoch: the
        rate never falls.
    Fix: build a new schedule with each new optimizer; count the length in the unit in which step() is called, and call
        it after optimizer.step().
    Shapes: any.
    Units: early, never, astray: {scheduler}; overrun, ticks_per_step: 1.
    Source: accelerate issue 963; transformers issue 24088; pytorch.org, "How to adjust learning rate".
    """
    recording = recorded(session.subject)
    built = [event for event in recording.of("scheduler") if not _drawn(event, recording)]
    if not built or recording.steps < LEAST:
        raise NotApplicable("no scheduler was seen" if not built else f"fewer than {LEAST} steps were seen")
    ticks = recording.by("scheduler", "tick")
    found = {event["scheduler"]: _one(event, ticks.get(event["scheduler"], []), recording) for event in built}
    measured = {
        "early": Measurement(sum(one["early"] for one in found.values()), "{scheduler}", n=len(built)),
        "never": Measurement(sum(one["never"] for one in found.values()), "{scheduler}", n=len(built)),
        "astray": Measurement(sum(one["astray"] for one in found.values()), "{scheduler}", n=len(built)),
        "overrun": Measurement(max(one["overrun"] for one in found.values())),
        "ticks_per_step": Measurement(max((one["rate"] for one in found.values()), key=lambda rate: abs(rate - 1))),
    }
    rows = [
        (event["name"], len(moved), _length(event), event.get("line"), evidence.lines(moved))
        for event in built
        for moved in [ticks.get(event["scheduler"], [])]
    ]
    columns = ("scheduler", "steps", "length", "made at", "stepped at")
    return evidence.observed(measured, [Table("Schedulers", columns, tuple(rows))])


def _drawn(built: Event, recording: Recording) -> bool:
    """Is it stepped with an optimizer that trains nothing, to draw the path of the rate?"""
    mine = [e["kind"] for e in recording.of("step", "idle") if e["optimizer"] == built["optimizer"]]
    return mine.count("idle") > mine.count("step")


def _length(event: Event) -> int:
    return int(event.get("T_max") or event.get("total_steps") or event.get("total_iters") or 0)


def _one(built: Event, ticks: list[Event], recording: Recording) -> dict[str, float]:
    steps = [event for event in recording.of("step") if event["optimizer"] == built["optimizer"]] or recording.of(
        "step"
    )
    length, first = _length(built), steps[0]["step"]
    before = [tick for tick in ticks if tick["step"] <= first and not tick.get("given")]
    excused = bool(recording.of("scale", "load"))
    training = [one for one in evidence.passes(recording) if one.trains]
    epochs = sum(one.complete for one in training)
    never = not ticks and (recording.ended_by_itself or epochs >= EPOCHS)
    longest = max((evidence.loaders(recording)[one.loader].get("length") or 0 for one in training), default=0)
    over = ticks[-1]["last_epoch"] / length if ticks and length and built["name"] == "CosineAnnealingLR" else 0.0
    whole = recording.ended_by_itself and length and 0.9 <= length / len(steps) <= 1.1
    return {
        "early": float(len(before) == 1 and not excused),
        "never": float(never),
        "astray": float(_astray(built, ticks, recording)),
        "overrun": over if length < longest else min(over, 1.4),
        "rate": len(ticks) / len(steps) if whole and ticks else 1.0,
    }


def _astray(built: Event, ticks: list[Event], recording: Recording) -> bool:
    """Did it go on after the last step of its optimizer, all of whose parameters another one holds?"""
    mine = [event["step"] for event in recording.of("step") if event["optimizer"] == built["optimizer"]]
    late = [tick for tick in ticks if tick["step"] > (mine[-1] + 1 if mine else 0)]
    held = {event["optimizer"]: event["own"] for event in recording.of("held")}
    return len(late) >= EPOCHS and held.get(built["optimizer"]) == 0


@fault(toy="watched")
def stepped_per_batch_but_counted_in_epochs(subject: Subject) -> Subject:
    """T_max is the number of epochs, and step() is called per batch."""
    return altered(subject, "scheduler", T_max=3)


@fault(toy="watched")
def the_optimizer_was_made_anew(subject: Subject) -> Subject:
    """The layers are unfrozen, a new optimizer is made, and the schedule still belongs to the old one."""
    old = {"kind": "held", "step": 20, "optimizer": 7, "parameters": 4, "reached": 4, "own": 0}
    return followed(altered(subject, "scheduler", optimizer=7), old)


@fault(toy="watched")
def never_stepped(subject: Subject) -> Subject:
    """The scheduler is built and forgotten."""
    return edited(subject, lambda e: None if e["kind"] == "tick" else e)


@fault(toy="watched")
def stepped_per_epoch_but_counted_in_steps(subject: Subject) -> Subject:
    """T_max is the number of steps, and step() is called per epoch."""
    return edited(subject, lambda e: None if e["kind"] == "tick" and e["step"] % 10 else e)
