"""loss.backward(loss) multiplies the gradient by the loss."""

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch.evidence import lines, observed
from gonogo.watch.recorded import altered, recorded


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("times_itself", warn=0, source="exact: one memory; a warning, since Adam divides most of it out again")
    ],
    since="0.6",
)
def loss_gradient(session: Session) -> Observation:
    """The loss is differentiated as it is | The gradient is multiplied by the loss

    What: `times_itself` counts backward passes that were given the loss as the gradient to begin with.
    Why: the argument of backward() is a factor. loss.backward(loss) takes the step of loss**2 / 2: the rate falls with
        the loss, clipping acts on something else, and a negative loss is maximised.
    Fix: loss.backward(), without an argument.
    Shapes: any.
    Units: times_itself: {backward pass} (n: all of them).
    Source: pytorch.org, torch.Tensor.backward, argument `gradient`.
    """
    recording = recorded(session.subject)
    passes = recording.of("backward")
    if not passes:
        raise NotApplicable("no backward pass was seen")
    found = [event for event in passes if event.get("times_itself")]
    rows = (("loss.backward(loss)", lines(found)),) if found else ()
    return observed(
        {"times_itself": Measurement(len(found), "{backward pass}", n=len(passes))},
        [Table("Backward passes", ("call", "line"), rows)],
    )


@fault(toy="watched", expect=Status.WARN)
def the_loss_is_its_own_gradient(subject: Subject) -> Subject:
    """loss.backward(loss)"""
    return altered(subject, "backward", times_itself=True)
