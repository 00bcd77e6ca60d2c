"""Time in which the model waits for its next batch."""

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.recorded import altered, recorded

LEAST = 20


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[at_most("waiting", warn=0.5, source="ours: a second worker process then pays at once")],
    since="0.6",
)
def data_wait(session: Session) -> Observation:
    """The model does not wait for data | Training waits for data

    What: `waiting` is the share of the time of training passes that went by in the loader, without the first batch of
        each pass, which starts workers.
    Why: an accelerator that waits costs as much as one that works.
    Fix: more num_workers, persistent_workers=True, pin_memory=True; decode or tokenise once, before the training.
    Shapes: any.
    Units: waiting: 1 (n: batches).
    Source: pytorch.org, "Performance tuning guide".
    """
    recording = recorded(session.subject)
    training = {one.number for one in evidence.passes(recording) if one.trains}
    waited, between, count, last = 0.0, 0.0, 0, {}
    for event in recording.of("fetch"):
        number = event["pass"]
        if number in training and number in last:
            waited += event["wait"]
            between += event["at"] - last[number]
            count += 1
        last[number] = event["at"]
    if count < LEAST or not between:
        raise NotApplicable(f"fewer than {LEAST} training batches from a loader were seen")
    share = min(waited / between, 1.0)
    rows = (("waiting for the loader", waited), ("all", between))
    return evidence.observed(
        {"waiting": Measurement(round(share, 2), "1", n=count)}, [Table("Time of training passes", ("", "s"), rows)]
    )


@fault(toy="watched", expect=Status.WARN)
def slow_data(subject: Subject) -> Subject:
    """Every batch takes as long as ten steps."""
    return altered(subject, "fetch", wait=10.0)
