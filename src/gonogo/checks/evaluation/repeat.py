"""Validation must ask the model in evaluation mode, and get the same numbers twice."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.evaluation import evaluations
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.VALID, C.EVALUATE},
    effort=Effort.FIT,
    after=("evaluation.state",),
    explains=("evaluation.mode-restored", "evaluation.batch-size", "evaluation.metric-oracle", "model.batch-mixing"),
    criteria=[
        at_most("training_layers", fail=0, source="exact: dropout and batch statistics have no place in a score"),
        at_most("difference", warn=1e-6, source="ours: bit-equal on a CPU; sampled metrics differ by right"),
    ],
    since="0.2",
)
def repeat(session: Session, *, limit: int = 8) -> Observation:
    """Validation runs in evaluation mode and repeats | Validation runs in training mode, or does not repeat

    What: calls the subject's own evaluate function on the first `limit` batches of valid, for a model in training mode
        as it is in the middle of a run. `training_layers` counts the modules that were then called in training mode
        although their mode changes the answer: dropout, batch normalisation, and modules of the subject's own for which
        the answer to a batch is seen to change. `difference` is the largest relative difference between its numbers
        and those of another call from equal weights under another seed; between the two, one batch alone is evaluated.
        A number that then stays as it was for that batch is the best so far, and left alone.
    Why: without eval(), or with a train() in the middle, the score depends on dropout's luck and on the neighbours in
        a batch. The best checkpoint is then picked by noise. A metric that is not reset is a mean over all epochs.
    Fix: model.eval() at the start of validation, model.train() at the start of training, nothing in between; reset
        metrics after compute(). If the model draws in evaluation on purpose (sampling decoders, dropout as an
        ensemble), say Claims(stochastic=True).
    Shapes: any.
    Units: training_layers: {module}; difference: 1.
    Source: github.com/wolny/pytorch-3dunet issue 53.
    """
    if session.claims.stochastic:
        raise NotApplicable("the subject claims that its model draws random numbers in evaluation (stochastic)")
    model = session.model
    state = copy.deepcopy(model.state_dict())
    first = evaluations.evaluate(session, model, limit=limit, seed=1)
    model.load_state_dict(state)
    model.train()
    alone = evaluations.evaluate(session, model, limit=1, seed=3)  # what is carried over shows after another number
    model.load_state_dict(state)
    model.train()
    second = evaluations.evaluate(session, model, limit=limit, seed=2)
    model.load_state_dict(state)
    [batch] = session.batches("valid", limit=1)
    layers = evaluations.where_mode_matters(session, model, first.training, batch)
    names = sorted(first.metrics.keys() & second.metrics.keys())
    names = [name for name in names if second.metrics[name] != alone.metrics.get(name)]
    gaps = {name: evaluations.gap(first.metrics[name], second.metrics[name]) for name in names}
    rows = tuple((name, first.metrics[name], second.metrics[name]) for name in names)
    found = {"training_layers": Measurement(len(layers), "{module}", n=len(first.training))}
    if gaps:
        found["difference"] = Measurement(max(gaps.values()), n=len(gaps))
    return Observation(
        found,
        (
            Table("Called in training mode", ("module",), tuple((name or "the model",) for name in layers)),
            Table("Two evaluations", ("metric", "first", "second"), rows),
        ),
    )


def _evaluating(subject: Subject, change: Any) -> Subject:
    inner: Any = subject.evaluate
    return replace(subject, evaluate=lambda model, loader: change(inner, model, loader))


class _Deaf(nn.Module):
    """A model that does not hear eval()."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *inputs: Any) -> Any:
        return self.inner.train()(*inputs)


@fault(toy="multimodal")
def eval_forgotten(subject: Subject) -> Subject:
    """Validation switches the model back to training mode before each batch."""
    return _evaluating(subject, lambda inner, model, loader: inner(_Deaf(model), loader))


@fault(expect=Status.WARN, toy="regressor")
def score_of_a_random_subset(subject: Subject) -> Subject:
    """The score is that of a few batches drawn at random, without a seed of their own."""

    def some(inner: Any, model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
        batches = list(loader)
        return inner(model, [batches[int(place)] for place in torch.randint(len(batches), (9,))])

    return _evaluating(subject, some)


@fault(expect=Status.WARN)
def never_reset(subject: Subject) -> Subject:
    """Sums go on from one validation to the next."""
    sums: dict[str, list[float]] = {}

    def carried(inner: Any, model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
        batches = list(loader)
        for name, value in inner(model, batches).items():
            total = sums.setdefault(name, [0.0, 0.0])
            total[0], total[1] = total[0] + value * len(batches), total[1] + len(batches)
        return {name: total / count for name, (total, count) in sums.items()}

    return _evaluating(subject, carried)
