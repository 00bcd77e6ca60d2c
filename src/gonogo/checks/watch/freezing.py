"""A part that is frozen in name only goes on being trained."""

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.recorded import followed, recorded


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[at_most("in_name_only", fail=0, source="exact: frozen by its attribute, and trained all the same")],
    since="0.6",
)
def freezing(session: Session) -> Observation:
    """What is frozen is not trained | Parts are frozen in name only

    What: `in_name_only` counts modules with an attribute requires_grad = False, and parameters with a misspelt one
        (require_grad, requires_grads), that stay so, and parameters of which are trainable, had a gradient other than
        zero, and are in an optimizer that steps.
    Why: torch.nn.Module has no requires_grad: `model.backbone.requires_grad = False` sets a new attribute that nobody
        reads, and the pretrained backbone is trained with the rate of the head. Nothing complains.
    Fix: model.backbone.requires_grad_(False), with the underscore, or requires_grad = False for each parameter.
    Shapes: any.
    Units: in_name_only: {attribute}.
    Source: pytorch.org, torch.nn.Module.requires_grad_; discuss.pytorch.org, "How the pytorch freeze network".
    """
    recording = recorded(session.subject)
    models = evidence.parameters(recording)
    if not evidence.trained(recording):
        raise NotApplicable("no model was seen that an optimizer trains")
    stepping = set(evidence.steps_of(recording))
    rows = [row for one in models.values() for row in one]
    moved = {row.number: row.name for row in rows if row.trainable and row.moved and row.optimizer in stepping}
    told = (recording.last("frozen_in_name") or {"attributes": []})["attributes"]
    found = {name: sum(number in moved for number in held) for name, held in told if moved.keys() & set(held)}
    return evidence.observed(
        {"in_name_only": Measurement(len(found), "{attribute}", n=len(moved))},
        [Table("Frozen in name", ("set to False", "parameters that are trained"), tuple(found.items()))],
    )


@fault(toy="watched")
def the_layer_has_an_attribute(subject: Subject) -> Subject:
    """model.first.requires_grad = False"""
    number = next(row.number for rows in evidence.parameters(recorded(subject)).values() for row in rows)
    event = {"kind": "frozen_in_name", "step": 1, "attributes": [["first.requires_grad", [number]]]}
    return followed(subject, event)
