"""The same model on the same data must give the same answer in evaluation."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.given_inputs import given_inputs, of_equal_inputs
from gonogo.training import batch as nested
from gonogo.training import fingerprint, seeding
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject

_DROPOUTS = ("dropout", "alpha_dropout", "feature_alpha_dropout", "dropout1d", "dropout2d", "dropout3d")


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    explains=("model.state-carried", "model.batch-mixing"),
    criteria=[
        at_most("active_dropout", fail=0, source="ours: dropout that draws in evaluation is a contradiction"),
        at_most("changed_state", fail=0, source="ours: evaluation must not write to the model"),
        at_most("change", warn=0, source="ours: sampling models draw by right, so a warning"),
    ],
    since="0.1",
)
def mode(session: Session) -> Observation:
    """Evaluation is deterministic and changes nothing | Evaluation is random or changes the model

    What: puts the model into evaluation mode and answers one batch under two seeds. `active_dropout` counts dropout
        calls that still drop, `changed_state` the weights and buffers that evaluation wrote to, `change` is the largest
        difference between the two answers to the same input. A model that is claimed to be stochastic may draw.
    Why: functional dropout without `self.training`, or statistics that move in evaluation, make every validation
        number noise, and the checkpoint picked by it an accident.
    Fix: F.dropout(x, p, self.training); no assignment to buffers outside training mode. If the model samples on
        purpose, say so: Claims(stochastic=True).
    Shapes: any.
    Units: active_dropout: calls; changed_state: tensors; change: 1.
    Source: transformers issue 33844 (attention dropout active in evaluation); ours.
    """
    [batch] = session.batches("train", limit=1)
    watch, model = _ActiveDropout(), session.copy_model()
    with torch.no_grad(), evaluating(model):
        _answer(session, batch, model, 0)  # tables that are built at first use (positions, masks) may be written once
    before = _state(model)
    with torch.no_grad(), evaluating(model), watch, given_inputs(model) as given:
        first, one = _answer(session, batch, model, 1), given.copy()
        given.clear()
        second, two = _answer(session, batch, model, 2), given
    if session.subject.predict is None:  # then paths begin with the number of the call; the loss may draw what goes in
        first, second = (of_equal_inputs(answers, one, two) for answers in (first, second))
    changed = fingerprint.changed(before, _state(model))
    drops = [] if session.claims.stochastic else watch.calls
    rows = [(name, "written by evaluation") for name in changed] + [(name, "still drops") for name in drops]
    found = {
        "active_dropout": Measurement(len(drops), "{call}"),
        "changed_state": Measurement(len(changed), "{tensor}"),
    }
    if not session.claims.stochastic:
        found["change"] = Measurement(_difference(first, second))
    return Observation(found, (Table("What is not as evaluation should be", ("name", "finding"), tuple(rows)),))


def _answer(session: Session, batch: Any, model: nn.Module, seed: int) -> dict[str, Tensor]:
    with seeding.seeded(seed):
        return session.outputs(nested.clone(batch), model)


def _state(model: nn.Module) -> dict[str, str]:
    return {name: fingerprint.digest(value) for name, value in [*model.named_parameters(), *model.named_buffers()]}


def _difference(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    if first.keys() != second.keys() or any(first[path].shape != second[path].shape for path in first):
        raise NotApplicable("the outputs have another structure at each call")
    gaps = [(first[path] - second[path]).abs().nan_to_num() for path in first if not first[path].equal(second[path])]
    return max((float(gap.max()) for gap in gaps if gap.numel()), default=0.0)


class _ActiveDropout(TorchFunctionMode):
    """Notes dropout calls that drop."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in _DROPOUTS and getattr(func, "__module__", "") == "torch.nn.functional":
            p, training = (*args[1:], *(None, None))[:2]
            p = kwargs.get("p", 0.5 if p is None else p)
            training = kwargs.get("training", True if training is None else training)
            if training and p > 0:
                self.calls.append(name)
        return func(*args, **kwargs)


@fault()
def dropout_ignores_mode(subject: Subject) -> Subject:
    """Functional dropout is called without the mode."""
    return subject.map_outputs(lambda output: nn.functional.dropout(output, 0.3))


@fault(expect=Status.WARN)
def noise_on_output(subject: Subject) -> Subject:
    """Noise is added to the output in every mode."""
    return subject.map_outputs(lambda output: output + torch.randn_like(output))


def _count(module: nn.Module, inputs: Any, output: Any) -> None:
    module.get_buffer("seen").add_(1.0)


@fault()
def statistics_move_in_evaluation(subject: Subject) -> Subject:
    """A buffer follows the data in evaluation, too."""

    def change(model: nn.Module) -> nn.Module:
        model.register_buffer("seen", torch.zeros(()))
        model.register_forward_hook(_count)
        return model

    return subject.map_model(change)
