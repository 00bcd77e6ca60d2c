"""Mixed precision that is asked for must be what runs."""

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.recorded import edited, recorded

LEAST = 3


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("empty_autocast", fail=0, source="exact: entered, and no forward pass of a model ran inside"),
        at_most("scaled_steps", fail=0, source="exact: the optimizer stepped with gradients that nobody unscaled"),
        at_most("half_weights", warn=0, source="ours: updates below 1/2048 of a weight are lost in float16"),
    ],
    explains=("watch.clipping",),
    since="0.6",
)
def precision(session: Session) -> Observation:
    """Mixed precision covers the model | Mixed precision misses what it was meant for

    What: `empty_autocast` is 1 if autocast was entered three times or more and no forward pass of a trained model ran
        inside; `scaled_steps` is 1 if the loss was scaled and the optimizers stepped without unscaling;
        `half_weights` counts trained models whose weights are float16. The table has the type of each model's weights.
    Why: a `with autocast():` that ends one line too early costs what float32 costs. optimizer.step() in the place of
        scaler.step(optimizer) makes updates 65,536 times too large, or none at all under Adam's eyes.
    Fix: put forward pass and loss inside the block, backward outside; scaler.step(optimizer), then scaler.update().
    Shapes: any.
    Units: empty_autocast, scaled_steps: 1; half_weights: {model}.
    Source: pytorch.org, "Automatic Mixed Precision examples"; lightning-thunder issue 725.
    """
    recording = recorded(session.subject)
    trained = evidence.trained(recording)
    entered = [event for event in recording.of("autocast") if event["enabled"]]
    inside = [e for e in recording.of("call") if e.get("autocast") and (e["model"] in trained or not trained)]
    scaled = [event for event in recording.of("scale") if event["size"] != 1]
    kinds = {e["model"]: (e["name"], e.get("dtype", ""), e.get("device", "")) for e in recording.of("model")}
    if not kinds:
        raise NotApplicable("no model was seen")
    half = [n for n, (_, dtype, _) in kinds.items() if dtype == "float16" and n in trained]
    ran = bool(recording.of("call"))
    measured = {
        "empty_autocast": Measurement(int(len(entered) >= LEAST and ran and not inside), n=len(entered)),
        "scaled_steps": Measurement(int(len(scaled) >= LEAST and not recording.of("unscale")), n=len(scaled)),
        "half_weights": Measurement(len(half), "{model}", n=len(kinds)),
    }
    return evidence.observed(measured, [Table("Models", ("model", "weights", "device"), tuple(kinds.values()))])


def _with(subject: Subject, kind: str, **fields: object) -> Subject:
    """An event of that kind before each backward pass."""
    return edited(subject, lambda e: [{"kind": kind, "step": e["step"], **fields}, e] if e["kind"] == "backward" else e)


@fault(toy="watched")
def autocast_ends_too_early(subject: Subject) -> Subject:
    """The block is empty but for something that needs no autocast."""
    return _with(subject, "autocast", enabled=True, dtype="bfloat16")


@fault(toy="watched")
def steps_without_the_scaler(subject: Subject) -> Subject:
    """optimizer.step() in the place of scaler.step(optimizer)."""
    return _with(subject, "scale", size=65536.0)
