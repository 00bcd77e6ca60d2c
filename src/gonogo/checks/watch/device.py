"""A model on the CPU beside an idle GPU."""

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.recorded import altered, followed, recorded


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[at_most("on_cpu", warn=0, source="ours: small models are faster there, so a warning")],
    since="0.6",
)
def device(session: Session) -> Observation:
    """Trained models are on the accelerator | A model trains on the CPU while there is a GPU

    What: `on_cpu` counts trained models whose weights are on the CPU in a process that sees a GPU.
    Why: a forgotten .to(device) does not fail as long as the data stays on the CPU too; it is only slow.
    Fix: model.to(device) before the optimizer is built, and each batch in the loop.
    Shapes: any.
    Units: on_cpu: {model}.
    Source: ours.
    """
    recording = recorded(session.subject)
    if not (recording.last("begin") or {}).get("cuda"):
        raise NotApplicable("the process sees no GPU")
    trained = evidence.trained(recording)
    models = {e["model"]: e for e in recording.of("model") if e["model"] in trained}
    slow = [event for event in models.values() if event.get("device") == "cpu"]
    rows = [(event["name"], event.get("device", "")) for event in models.values()]
    return evidence.observed(
        {"on_cpu": Measurement(len(slow), "{model}", n=len(models))},
        [Table("Models", ("model", "device"), tuple(rows))],
    )


@fault(toy="watched", expect=Status.WARN)
def beside_an_idle_gpu(subject: Subject) -> Subject:
    """There is a GPU, and the model is on the CPU."""
    return followed(altered(subject, "model", device="cpu"), {"kind": "begin", "step": 0, "cuda": True})
