"""Numbers that are no numbers, seen where they arise and not where they are logged."""

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch.evidence import observed
from gonogo.watch.recorded import edited, recorded


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("losses", fail=0, source="exact: a value that is not finite was differentiated"),
        at_most("gradients", fail=0, source="exact: the optimizer took a step with them"),
        at_most("weights", fail=0, source="exact: after the step"),
        at_most("replaced", warn=0, source="exact, but a script may guard itself: they came, and were gone in time"),
    ],
    explains=("watch.trend",),
    since="0.6",
)
def nonfinite(session: Session) -> Observation:
    """Loss, gradients and weights are finite | nan or infinity in loss, gradients or weights

    What: reads the values that were differentiated (`losses`), and in sampled steps the gradients with which optimizers
        stepped and the weights after it. The numbers are raw: nothing that frameworks filter or average. Under loss
        scaling an infinite loss is expected now and then, and only gradients and weights are asked. `replaced` counts
        losses and gradients in whose place the script put other numbers before anybody saw them, by nan_to_num say.
    Why: after one nan every weight is nan. The Trainer of transformers logs a loss of 0.0 then.
    Fix: go to the first step of the table: a division, a logarithm or a square root of 0 there, an empty batch, a
        learning rate that is too large. torch.autograd.set_detect_anomaly(True) names the operation.
    Shapes: any.
    Units: losses, replaced: {value}; gradients, weights: {tensor}.
    Source: trl issue 6702; huggingface.co, logging_nan_inf_filter.
    """
    recording = recorded(session.subject)
    values = [event for event in recording.of("backward") if "value" in event]
    looked = [event for event in recording.of("step") if "bad_gradients" in event]
    if not values and not looked:
        raise NotApplicable("no value was seen")
    bad = [event for event in values if isinstance(event["value"], str)]
    scaled = bool(recording.of("scale"))
    hidden = [event for event in recording.of("backward", "mended") if event.get("replaced", event["kind"] == "mended")]
    measured = {
        "losses": Measurement(0 if scaled else len(bad), "{value}", n=len(values)),
        "gradients": Measurement(max((e["bad_gradients"] for e in looked), default=0), "{tensor}", n=len(looked)),
        "weights": Measurement(max((e["bad_weights"] for e in looked), default=0), "{tensor}", n=len(looked)),
    }
    measured["replaced"] = Measurement(0 if scaled else len(hidden), "{value}", n=len(values))
    rows = [("replaced", event["step"], event["kind"], event.get("line")) for event in hidden[:3]]
    rows += [("loss", event["step"], event["value"], event.get("line")) for event in bad[:3]]
    wrong = [event for event in looked if event["bad_gradients"]][:3]
    rows += [("gradients", event["step"], event["bad_gradients"], event.get("line")) for event in wrong]
    return observed(measured, [Table("First found", ("what", "step", "value or count", "line"), tuple(rows))])


def _edited(subject: Subject, kind: str, **fields: object) -> Subject:
    return edited(subject, lambda e: {**e, **fields} if e["kind"] == kind and e["step"] > 10 else e)


@fault(toy="watched")
def the_loss_is_nan(subject: Subject) -> Subject:
    """The loss becomes nan."""
    return _edited(subject, "backward", value="nan")


@fault(toy="watched")
def a_gradient_is_infinite(subject: Subject) -> Subject:
    """The optimizer steps with an infinite gradient."""
    return _edited(subject, "step", bad_gradients=1, bad_weights=1, zero_gradients=0)


@fault(toy="watched", expect=Status.WARN)
def the_loss_is_nan_and_replaced(subject: Subject) -> Subject:
    """torch.nan_to_num(loss).backward()"""
    return _edited(subject, "backward", replaced=True)
