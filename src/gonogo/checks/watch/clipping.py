"""Clipping must act on the true gradient, before the step."""

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Event, Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch.evidence import observed
from gonogo.watch.recorded import altered, edited, recorded

LEAST = 3


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("idle", fail=0.5, warn=0.0, source="exact: no backward pass between the step before and the clipping"),
        at_most("empty", fail=0.5, warn=0.0, source="exact: no tensor was given to be clipped"),
        at_most("scaled", fail=0.5, warn=0.0, source="exact: scaled, not yet unscaled, when it was clipped"),
    ],
    since="0.6",
)
def clipping(session: Session) -> Observation:
    """Gradients are clipped between backward and step | Gradients are clipped at the wrong moment

    What: follows the order of scaling, backward, unscaling, clipping and step. `idle` is the share of clippings that
        found nothing new: the optimizer had stepped already, or backward was still to come. `empty` is the share that
        was given no tensor at all: `model.parameters()` that something else has gone through already. `scaled` is the
        share that acted on gradients that a loss scaler had multiplied. An infinite limit only measures the norm and is
        left out.
    Why: clipping after the step protects nothing. Clipping before unscaling compares the limit with a gradient that is
        65,536 times too large: every update is cut to almost nothing.
    Fix: call model.parameters() anew for the clipping, or keep list(model.parameters()); backward,
        scaler.unscale_(optimizer), clip_grad_norm_, scaler.step(optimizer), in this order.
    Shapes: any.
    Units: all: 1 (n: clippings).
    Source: lightning issue 9606, pytorch/examples issue 1196; pytorch.org, AMP examples.
    """
    recording = recorded(session.subject)
    clips = [event for event in recording.of("clip") if not event["measuring"]]
    empty = [event for event in clips if event.get("given") == 0]
    clips = empty + [event for event in clips if event["optimizers"]]
    if len(clips) < LEAST:
        raise NotApplicable("no clipping was seen" if not clips else f"fewer than {LEAST} clippings were seen")
    idle, scaled = _judged(recording)
    measured = {
        "idle": Measurement(idle / len(clips), n=len(clips)),
        "empty": Measurement(len(empty) / len(clips), n=len(clips)),
        "scaled": Measurement(scaled / len(clips), n=len(clips)),
    }
    order = recording.of("zero", "scale", "backward", "unscale", "clip", "step")[:12]
    rows = tuple((place, event["kind"], event.get("line")) for place, event in enumerate(order, 1))
    return observed(measured, [Table("How it began", ("place", "event", "line"), rows)])


def _judged(recording: Recording) -> tuple[int, int]:
    """How many clippings had nothing new before them, and how many a scaled gradient."""
    used: dict[int, int] = {}  # backward passes before the last step of each optimizer
    scale, unscaled = 1.0, set[int]()
    idle = scaled = 0
    for event in recording.events:
        kind = event["kind"]
        if kind == "step":
            used[event["optimizer"]] = event["backwards"]
            unscaled.discard(event["optimizer"])
        elif kind == "scale":
            scale = event["size"]
        elif kind == "unscale":
            unscaled.add(event["optimizer"])
        elif kind == "clip" and not event["measuring"] and event["optimizers"]:
            idle += _nothing_new(event, used)
            scaled += scale != 1.0 and not unscaled & set(event["optimizers"])
    return idle, scaled


def _nothing_new(clip: Event, used: dict[int, int]) -> bool:
    if clip.get("present") and not clip["backwards"]:  # it comes another way, through torch.autograd.grad say
        return False
    return all(clip["backwards"] <= used.get(optimizer, 0) for optimizer in clip["optimizers"])


@fault(toy="watched")
def clipped_after_the_step(subject: Subject) -> Subject:
    """clip_grad_norm_ comes after optimizer.step()."""
    clips = iter(recorded(subject).of("clip"))
    return edited(subject, lambda e: None if e["kind"] == "clip" else [e, next(clips)] if e["kind"] == "step" else e)


@fault(toy="watched")
def nothing_is_clipped(subject: Subject) -> Subject:
    """The parameters are a generator that the optimizer has gone through."""
    return altered(subject, "clip", given=0, optimizers=[])


@fault(toy="watched")
def clipped_while_scaled(subject: Subject) -> Subject:
    """The loss is scaled, and nothing unscales before the clipping."""
    return edited(
        subject, lambda e: [{"kind": "scale", "step": e["step"], "size": 65536.0}, e] if e["kind"] == "backward" else e
    )
