"""Validation may look at the model; it must not move it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.instruments.evaluation import evaluations
from gonogo.training import batch as nested
from gonogo.training import fingerprint
from gonogo.training.session import Session, all_of
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.OPTIMIZER, C.LOSS, C.TRAIN, C.VALID, C.EVALUATE},
    effort=Effort.FIT,
    explains=("evaluation",),
    criteria=[
        at_most("changed_weights", fail=0, source="exact: what validation changes, held-out data have taught"),
        at_most("changed_buffers", fail=0, source="exact: statistics that move in validation come from held-out data"),
        at_most("optimizer_steps", fail=0, source="exact: a step in validation trains on held-out data"),
    ],
    since="0.2",
)
def state(session: Session, *, limit: int = 2) -> Observation:
    """Validation leaves weights, buffers and optimizer alone | Validation changes the state of training

    What: takes a training step, so that the optimizer has a state, and calls the subject's own evaluate function on
        `limit` batches of valid, twice: the first call may build tables and caches. Counted are the parameters and
        buffers with other content after the second call (statistics of layers in training mode apart), and the
        optimizer steps, or changes of its state, within it.
    Why: an optimizer step in validation, averaged weights that are not swapped back, or statistics that follow the
        validation data train on what the score is measured on, and make the run depend on how often it is validated.
    Fix: evaluate under torch.no_grad() and in evaluation mode; after a swap of averaged weights put the originals
        back in `finally`.
    Shapes: any.
    Units: changed_weights, changed_buffers: {tensor}; optimizer_steps: {step}.
    Source: github.com/PKU-YuanGroup/Open-Sora-Plan pull request 186.
    """
    model, optimizer = session.model, session.optimizer
    [batch] = session.batches("train", limit=1)
    session.step(batch, model, optimizer)
    evaluations.evaluate(session, model, limit=limit)
    model.train()
    steps: list[Any] = []
    # A program whose loaders are built anew may pretrain a teacher meanwhile; that is no step of this model.
    own = {id(parameter) for parameter in model.parameters()}
    handle = register_optimizer_step_post_hook(lambda one, *_: steps.append(one) if _holds(one, own) else None)
    weights, buffers, moments = _parameters(model), _buffers(model), _moments(optimizer)
    try:
        seen = evaluations.evaluate(session, model, limit=limit, seed=1)
    finally:
        handle.remove()
    moved = fingerprint.changed(weights, _parameters(model))
    # Statistics of layers in training mode follow the data by design: that mode is for evaluation.repeat to accuse.
    shifted = [name for name in fingerprint.changed(buffers, _buffers(model)) if _owner(name) not in seen.training]
    taken = len(steps) or len(fingerprint.changed(moments, _moments(optimizer)))
    rows = [(name, "parameter") for name in moved] + [(name, "buffer") for name in shifted]
    return Observation(
        {
            "changed_weights": Measurement(len(moved), "{tensor}", n=len(weights)),
            "changed_buffers": Measurement(len(shifted), "{tensor}", n=len(buffers)),
            "optimizer_steps": Measurement(taken, "{step}"),
        },
        (Table("Changed by validation", ("name", "kind"), tuple(rows)),),
    )


def _holds(optimizer: Any, own: set[int]) -> bool:
    return any(id(parameter) in own for group in optimizer.param_groups for parameter in group["params"])


def _parameters(model: nn.Module) -> dict[str, str]:
    return {name: fingerprint.digest(parameter) for name, parameter in model.named_parameters()}


def _buffers(model: nn.Module) -> dict[str, str]:
    return {name: fingerprint.digest(buffer) for name, buffer in model.named_buffers()}


def _owner(buffer: str) -> str:
    return buffer.rpartition(".")[0]


def _moments(optimizer: Any) -> dict[str, str]:
    states = {str(place): one.state_dict()["state"] for place, one in enumerate(all_of(optimizer))}
    return {path: fingerprint.digest(tensor) for path, tensor in nested.tensors(states).items()}


def _with(subject: Subject, before: Any) -> Subject:
    inner: Any = subject.evaluate

    def evaluate(model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
        before(model, loader)
        return inner(model, loader)

    return replace(subject, evaluate=evaluate)


@fault()
def step_in_validation(subject: Subject) -> Subject:
    """Validation takes an optimizer step per batch, as copied from the training loop."""

    def train(model: nn.Module, loader: Iterable[Any]) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for batch in loader:
            optimizer.zero_grad()
            subject._given("loss")(model, batch).backward()
            optimizer.step()

    return _with(subject, train)


@fault(toy="regressor")
def weights_rounded_for_validation(subject: Subject) -> Subject:
    """Weights decay a little towards zero at each validation."""

    def shrink(model: nn.Module, loader: Iterable[Any]) -> None:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(0.999)

    return _with(subject, shrink)
