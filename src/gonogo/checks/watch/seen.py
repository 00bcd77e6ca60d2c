"""A verdict on a script of which nothing was seen would be worth nothing."""

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_least, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import SubjectError
from gonogo.training.recording import Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch.evidence import observed
from gonogo.watch.recorded import altered, edited

FEW = 3  # steps through which a gradient has to be followed
ASKED = {
    "optimizer step": "step",
    "backward pass": "backward",
    "forward pass": "call",
    "loss function with numbers": "loss",
    "gradient followed from step to step": "carried",
    "pass over a loader": "pass",
    "gradient clipping": "clip",
    "step of a scheduler": "tick",
    "autocast": "autocast",
    "loss scaling": "scale",
    "checkpoint written": "save",
    "checkpoint read": "load",
}


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_least(
            "steps", warn=FEW, fail=1, source="exact: no optimizer step, no training; of fewer than 3 little is judged"
        ),
        at_most(
            "errors", fail=0, source="exact: an exception that nothing caught, a crash, or an exit code of failure"
        ),
        at_least("losses", warn=1, source="ours: a loss that is differentiated some other way cannot be read"),
    ],
    since="0.6",
)
def seen(session: Session) -> Observation:
    """The training was seen | Too little of the training was seen, or it failed

    What: counts what was seen of the script: `steps` of optimizers, `errors` with which it ended before it was stopped
        (an exception, a crash, an exit code other than 0), and `losses`, values that were differentiated. The table
        says of everything that the watch knows how often it happened, so also what it has not seen.
    Why: what does not happen in the first steps is not judged: an evaluation that comes after an hour, a checkpoint,
        the end of a schedule. A GO says nothing about it. Of one or two steps most checks have nothing to say.
    Fix: if the script failed, mend what it told in the terminal; else give more steps with `gonogo watch --steps N`,
        or make epochs shorter for this one run.
    Shapes: any.
    Units: steps: {step}; errors: {error}; losses: {value}.
    Source: ours.
    """
    recording = session.subject.recording or Recording(())
    values = [event for event in recording.of("backward") if "value" in event]
    rows = [(name, len(recording.of(kind))) for name, kind in ASKED.items()]
    ends = [event for event in recording.of("end") if event["how"] == "error"]
    failed = Table("How it failed", ("error", "where"), tuple((event["error"], event["where"]) for event in ends))
    if not recording.steps:
        failed_first = [
            f"no optimizer step was seen: the script failed first: {e['error']} ({e['where']})" for e in ends
        ]
        unseen = (recording.last("end") or {}).get("unseen", "no optimizer step was seen")
        raise SubjectError(failed_first[0] if failed_first else unseen)
    measured = {
        "steps": Measurement(recording.steps, "{step}"),
        "errors": Measurement(len(ends), "{error}"),
        "losses": Measurement(len(values), "{value}"),
    }
    return observed(measured, [*[failed] * bool(ends), Table("What was seen", ("event", "times"), tuple(rows))])


@fault(expect=Status.WARN, toy="watched")
def no_loss_is_seen(subject: Subject) -> Subject:
    """Gradients come from elsewhere, so no loss can be read."""
    return edited(subject, lambda event: None if event["kind"] == "backward" else event)


@fault(toy="watched")
def the_script_fails(subject: Subject) -> Subject:
    """The second batch has another shape, and nobody catches the error."""
    return altered(subject, "end", how="error", error="RuntimeError: shapes", where="train.py:95")
