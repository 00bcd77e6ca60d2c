"""A gradient of another size than was meant: the loss as its own factor, means that are added up and not divided."""

from collections import Counter
from itertools import pairwise

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch.evidence import lines, observed
from gonogo.watch.recorded import altered, edited, recorded

LEAST = 5  # updates


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("times_itself", warn=0, source="exact: one memory; a warning, since Adam divides most of it out again"),
        at_most("undivided", warn=1, source="exact as to what is added up; the rate may have been chosen for it"),
    ],
    since="0.6",
)
def loss_gradient(session: Session) -> Observation:
    """The gradient has its own size | The gradient is multiplied by the loss, or by the number of micro-batches

    What: `times_itself` counts backward passes that were given the loss as the gradient to begin with. `undivided` is
        how many backward passes an update adds up, where each is of the mean over a micro-batch, of one line and one
        loader, with a forward pass of its own, and where the size counts: under clipping, or with plain SGD.
    Why: the argument of backward() is a factor. loss.backward(loss) takes the step of loss**2 / 2: the rate falls with
        the loss, clipping acts on something else, and a negative loss is maximised. The sum of four means is four times
        the gradient of one large batch: the rate is in effect four times as large, or the limit of clipping a quarter,
        and a shorter last window weighs less.
    Fix: loss.backward(), without an argument; with gradient accumulation (loss / accumulation_steps).backward().
    Shapes: any.
    Units: times_itself: {backward pass} (n: all of them); undivided: {backward pass}.
    Source: pytorch.org, torch.Tensor.backward, argument `gradient`.
    """
    recording = recorded(session.subject)
    passes = recording.of("backward")
    if not passes:
        raise NotApplicable("no backward pass was seen")
    found = [event for event in passes if event.get("times_itself")]
    rows = (("loss.backward(loss)", lines(found)),) if found else ()
    undivided = _undivided(recording)
    rows += (("backward of a mean, not divided", lines(passes)),) if undivided > 1 else ()
    return observed(
        {
            "times_itself": Measurement(len(found), "{backward pass}", n=len(passes)),
            "undivided": Measurement(undivided, "{backward pass}"),
        },
        [Table("Backward passes", ("call", "line"), rows)],
    )


def _undivided(recording: Recording) -> int:
    """How many means of micro-batches each update of the only optimizer adds up; 1 where that is not what happens."""
    steps = recording.of("step")
    names = {event["optimizer"]: event["name"] for event in recording.of("optimizer")}
    clips = [event for event in recording.of("clip") if not event["measuring"]]
    stepping = {event["optimizer"] for event in steps}
    if len(stepping) != 1 or not (clips or names.get(min(stepping)) == "SGD") or len(steps) < LEAST:
        return 1
    (usual, times), *_ = Counter(b["backwards"] - a["backwards"] for a, b in pairwise(steps)).most_common(1)
    return usual if usual > 1 and times >= 0.6 * (len(steps) - 1) and _are_micro_batches(recording, usual) else 1


def _are_micro_batches(recording: Recording, usual: int) -> bool:
    """Are all backward passes of means, of one line and one loader, each behind a forward pass of its own?"""
    passes = [event for event in recording.of("backward") if "value" in event]
    order = [event["kind"] for event in recording.of("call", "backward")]
    own = ("backward", "backward") not in pairwise(order)
    loaders = {event["pass"]: event["loader"] for event in recording.of("fetch")}
    places = {(event.get("line"), loaders.get(event["pass"])) for event in passes}
    means = len(passes) >= usual * LEAST and all(event.get("mean") for event in passes)
    return means and own and len(places) == 1


@fault(toy="watched", expect=Status.WARN)
def the_loss_is_its_own_gradient(subject: Subject) -> Subject:
    """loss.backward(loss)"""
    return altered(subject, "backward", times_itself=True)


@fault(toy="watched", expect=Status.WARN)
def micro_batches_are_added_up(subject: Subject) -> Subject:
    """The loss is not divided by the number of micro-batches."""
    fewer = edited(subject, lambda e: None if e["kind"] == "step" and e["step"] % 2 else e)
    return altered(fewer, "backward", mean=True)
