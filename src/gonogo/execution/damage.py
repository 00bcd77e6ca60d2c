"""A fault put into a subject, and whether it took: a defect of a layer that is not there changes nothing."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gonogo.audit.fingerprints import fingerprint
from gonogo.core.catalogue import fault_function
from gonogo.core.check import Check
from gonogo.instruments.evaluation import evaluations
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating

_STATED = ("claims", "config", "config_file", "overrides", "requirements")
BATCHES, SECONDS = 3, 30.0
MOST = 1000  # batches of a split: streams may have no end


def damaged(session: Session, check: Check, name: str) -> Session:
    """Another session, of the subject with one of the check's faults."""
    fault = next(fault for fault in check.faults if fault.name == name)
    whole = session.subject
    subject = fault_function(check, fault)(whole)
    if subject.loss is not whole.loss and subject.step is whole.step:
        subject = replace(subject, step=None)  # the run's own step holds the loss that it had before
    return Session(subject, device=session.device, seed=session.seed)


def took(session: Session, other: Session) -> bool:
    """Does a damaged subject state, load, answer, learn or score anything else than the whole one, in a few steps?"""
    if any(getattr(session.subject, name) != getattr(other.subject, name) for name in _STATED):
        return True
    if session.subject.provides() != other.subject.provides():
        return True
    return any(_differ(session, other, ask) for ask in (_loaded, _answered, _learned, _scored))


def _differ(session: Session, other: Session, ask: Callable[[Session], Iterator[Tensor]]) -> bool:
    found: list[list[Tensor]] = []
    for one in (session, other):
        fresh = one.fresh(one.subject.provides(), SECONDS)
        fresh._batches = {}  # damaged data must not be those that the other session has read
        with contextlib.suppress(Exception), seeding.seeded(one.seed):
            found.append([tensor.detach().cpu() for tensor in ask(fresh)])
    if len(found) < 2:  # one of them cannot be asked
        return True
    return len(found[0]) != len(found[1]) or not all(map(_same, *found))


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one == other) | ((one != one) & (other != other))).all())


def _loaded(session: Session) -> Iterator[Tensor]:
    """A print of every batch of an epoch, so that lost ones show as well."""
    for name in session.subject.splits:
        for batch in itertools.islice(session.loader(name), MOST):
            yield torch.tensor(list(fingerprint(batch)))


def _answered(session: Session) -> Iterator[Tensor]:
    """Outputs in evaluation mode, the loss and its gradients in training mode."""
    if session.subject.model is None or session.subject.loss is None:
        return
    model = session.build_model()
    yield from model.state_dict().values()
    for batch in session.batches(limit=1):
        outputs: dict[str, Tensor] = {}
        with contextlib.suppress(Exception), torch.no_grad(), evaluating(model):  # not every loss shows its outputs
            outputs = session.outputs(nested.clone(batch), model)
        yield from outputs.values()
        loss = session.loss(nested.clone(batch), model)
        yield loss
        if loss.requires_grad:
            loss.backward()
    yield from (one.grad for one in model.parameters() if one.grad is not None)


def _learned(session: Session) -> Iterator[Tensor]:
    if session.subject.model is None or session.subject.optimizer is None:
        return
    model = session.build_model()
    optimizer: Any = session.build_optimizer(model)
    for batch in session.batches(limit=BATCHES):
        yield torch.tensor(session.step(batch, model, optimizer))
    yield from model.state_dict().values()


def _scored(session: Session) -> Iterator[Tensor]:
    if session.subject.evaluate is None or session.subject.model is None:
        return
    model = session.build_model()
    for _ in range(2):  # a second time, since what is left behind may show only then
        seen = evaluations.evaluate(session, model)
        yield torch.tensor([float(value) for value in seen.metrics.values()])
    yield torch.tensor([float(module.training) for module in model.modules()])
