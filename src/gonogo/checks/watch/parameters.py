"""What the optimizer holds must be what the gradient reaches, and the other way round."""

from dataclasses import replace

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.recording import Recording
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo.watch import evidence
from gonogo.watch.evidence import Row
from gonogo.watch.reach import share, unreached, unused_gradient, without_own
from gonogo.watch.recorded import altered, edited, recorded

STEPS = 3  # after which a gradient must have come


@check(
    needs={C.RECORDING},
    effort=Effort.READ,
    criteria=[
        at_most("foreign", fail=0, source="exact: an optimizer none of whose parameters ever had a gradient"),
        at_most("outside", fail=0, source="exact: a gradient that no optimizer uses"),
        at_most("unreached_share", warn=0.0, fail=0.1, source="ours: unused poolers of libraries are below 0.1"),
        at_most(
            "uncalled_share", warn=0.0, source="ours: a head of a library's model that this training has no use for"
        ),
        at_most("outside_models", warn=0, source="ours: a fixed network may pass gradients on"),
        at_most(
            "exchanged", fail=0, source="exact: two optimizers of one model, and none of another that has gradients"
        ),
    ],
    explains=("watch.clearing",),
    since="0.6",
)
def parameters(session: Session) -> Observation:
    """The optimizers hold what the gradient reaches | Optimizer and gradient do not meet

    What: follows every parameter of the models that ran. `foreign` optimizers took at least three steps and none of
        their parameters ever had a gradient. `outside` are trainable parameters of a trained model that got a gradient
        other than zero and are in no optimizer that steps. `unreached_share` is the share of the elements in the
        optimizers that never got one though their module was called, `uncalled_share` that of modules which were not
        called in 20 steps; where a sibling (another layer, another expert) got one, they are left out.
        `outside_models` are whole models of this kind; where an
        optimizer holds nothing that another one does not hold too, it was meant for one of them: `exchanged`.
    Why: an optimizer that was built from another model, before the model was built anew, or from one part of it, leaves
        weights at their initial values while the loss still falls on the rest.
    Fix: build the optimizer last, from all parameters of the model that runs; set requires_grad=False on what is to
        stay; look at the first name of the table for a detach(), a no_grad() or an output that is not used.
    Shapes: any.
    Units: foreign, exchanged: {optimizer}; outside: {parameter}; outside_models: {model}; unreached_share: 1;
        uncalled_share: 1.
    Source: ours; measured: one step accuses zero-initialised adapters.
    """
    recording = recorded(session.subject)
    steps = {
        number: len(found)
        for number, found in evidence.steps_of(recording).items()
        if not any(event["had_gradient"] and not event["with_gradient"] for event in found)  # it clears them itself
    }
    if max(steps.values(), default=0) < STEPS:
        raise NotApplicable(f"fewer than {STEPS} optimizer steps were seen")
    held = {event["optimizer"]: event for event in recording.of("held")}
    foreign = [n for n, event in held.items() if steps.get(n, 0) >= STEPS and not event["reached"]]
    models, trained = evidence.parameters(recording), evidence.trained(recording)
    rows = {row.number: row for number in trained for row in models[number]}.values()
    stepping = set(evidence.steps_of(recording))
    outside = [row for row in rows if unused_gradient(row, stepping)]
    bare = unreached([row for row in rows if steps.get(row.optimizer, 0) >= STEPS and row.trainable], recording)
    total = sum(row.elements for row in rows if row.optimizer in steps and row.trainable)
    others = [n for n in models if n not in trained and any(unused_gradient(row, stepping) for row in models[n])]
    measured = {
        "foreign": Measurement(len(foreign), "{optimizer}", n=len(held)),
        "outside": Measurement(len(outside), "{parameter}", n=len(rows)),
        "unreached_share": Measurement(share([row for row in bare if row.called], total)),
        "uncalled_share": Measurement(share([row for row in bare if not row.called], total)),
        "outside_models": Measurement(0 if foreign else len(others), "{model}"),
        "exchanged": Measurement(min(len(others), without_own(held, stepping)), "{optimizer}"),
    }
    told = [(row.name, "in no optimizer that steps") for row in outside]
    told += [(row.name, "no gradient" if row.called else "never called") for row in bare]
    told += [(_named(recording, number), "a whole model, in no optimizer that steps") for number in others]
    table = Table("Parameters", ("parameter", "finding"), tuple(told))
    return evidence.observed(measured, [table, evidence.optimizers(recording)])


def _named(recording: Recording, model: int) -> str:
    return next(event["name"] for event in recording.of("model") if event["model"] == model)


def _with(subject: Subject, **fields: object) -> Subject:
    """Every parameter row of the recording with other fields."""

    def change(event: dict) -> dict:
        if event["kind"] == "model":
            event["parameters"] = [
                list(replace(Row(*row), **fields).__dict__.values()) if index < 2 else row
                for index, row in enumerate(event["parameters"])
            ]
        return event

    return edited(subject, change)


@fault(toy="watched")
def a_layer_is_in_no_optimizer(subject: Subject) -> Subject:
    """The first layer was forgotten when the optimizer was built."""
    return _with(subject, optimizer=-1)


@fault(toy="watched")
def a_layer_is_detached(subject: Subject) -> Subject:
    """The first layer never gets a gradient, though it is called."""
    return _with(subject, reached=0, moved=0, name="first")


@fault(toy="watched", expect=Status.WARN)
def a_head_is_never_called(subject: Subject) -> Subject:
    """The optimizer holds a head for which this training has no use."""
    return _with(subject, reached=0, moved=0, called=False, name="head")


@fault(toy="watched", expect=Status.FAIL)
def another_model_is_optimised(subject: Subject) -> Subject:
    """The model was built anew after the optimizer."""
    return altered(subject, "held", reached=0)


@fault(toy="watched")
def the_optimizer_of_one_model_holds_another(subject: Subject) -> Subject:
    """The generator's optimizer was given the parameters of the discriminator."""

    def change(event: dict) -> list[dict]:
        if event["kind"] == "model":
            rows = [[row[0], 1000 + row[1], *row[2:4], -1, *row[5:]] for row in event["parameters"]]
            return [event, {**event, "model": 9, "parameters": rows}]
        return [event, {**event, "optimizer": 9, "own": 0}] if event["kind"] in ("held", "step") else [event]

    return edited(subject, change)
