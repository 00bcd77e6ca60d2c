"""After validation the model must train on, not go on in evaluation mode."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.evaluation import evaluations
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN, C.VALID, C.STEP, C.EVALUATE},
    effort=Effort.FIT,
    criteria=[
        at_most("left_in_evaluation", fail=0, source="exact: the step after validation must be like the one before it"),
        at_most("never_in_training", warn=0, source="ours: a part that stays frozen may be all that has two modes"),
    ],
    since="0.2",
)
def mode_restored(session: Session, *, limit: int = 2) -> Observation:
    """Training goes on in training mode after validation | Training goes on in evaluation mode after validation

    What: takes a step of the subject's own, calls its evaluate function on `limit` batches of valid, and takes another
        step. `left_in_evaluation` counts the modules that the first step called in training mode and the second in
        evaluation mode, where that mode changes the answer. Who puts it back, the validation or the step, is a matter
        of taste; modules that the first step already keeps in evaluation mode (frozen statistics) are left alone,
        unless it keeps all of them so: `never_in_training` counts these.
    Why: from the first validation on, dropout is off and batch statistics stand still. Nothing fails: the run
        overfits, or learns on statistics of its first steps.
    Fix: model.train() at the end of validation or at the start of each step.
    Shapes: any.
    Units: left_in_evaluation, never_in_training: {module} (n: modules of the model).
    Source: github.com/wkentaro/pytorch-fcn issue 57; github.com/fartashf/vsepp issue 4.
    """
    model, optimizer = session.model, session.optimizer
    batches = session.batches("train", limit=2)
    before, after = evaluations.Evaluation(), evaluations.Evaluation()
    with evaluations.calls_of(model, before):
        session.step(batches[0], model, optimizer)
    modules = dict(model.named_modules())
    [batch] = session.batches("train", limit=1)
    if not before.training | before.resting:
        raise NotApplicable("the step calls no module of the model")
    never = [] if before.training else evaluations.where_mode_matters(session, model, before.resting, batch)
    if before.training:
        evaluations.evaluate(session, model, limit=limit)
        with evaluations.calls_of(model, after):
            session.step(batches[-1], model, optimizer)
    lost = {name for name in before.training - after.training if not modules[name].training}
    matter = evaluations.where_mode_matters(session, model, lost, batch) if lost else []
    rows = tuple((name or "the model", type(modules[name]).__name__) for name in (*matter, *never))
    return Observation(
        {
            "left_in_evaluation": Measurement(len(matter), "{module}", n=len(modules)),
            "never_in_training": Measurement(len(never), "{module}", n=len(modules)),
        },
        (Table("In evaluation mode in a training step", ("module", "class"), rows),),
    )


@fault(toy="multimodal")
def no_train_after_validation(subject: Subject) -> Subject:
    """Validation leaves the model in evaluation mode, and the step does not mind."""
    inner: Any = subject.evaluate

    def evaluate(model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
        found = inner(model, loader)
        model.eval()
        return found

    return replace(subject, evaluate=evaluate, step=_step(subject))


def _step(subject: Subject) -> Any:
    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        loss = subject._given("loss")(model, batch)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step
