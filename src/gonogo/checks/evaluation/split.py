"""Validation must look at the held-out samples that it is given."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from gonogo.audit.fingerprints import fingerprint
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation
from gonogo.errors import NotApplicable
from gonogo.instruments import evaluations
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

Prints = set[bytes]
_SMALL = 4  # numbers of a row: fewer coincide by nature


@check(
    needs={C.MODEL, C.TRAIN, C.VALID, C.EVALUATE},
    effort=Effort.FIT,
    after=("data.split-overlap",),
    explains=("evaluation.coverage",),
    criteria=[
        at_most("trained_rows", warn=0.0, fail=0.5, source="exact: rows of train that do not occur in valid"),
    ],
    since="0.2",
)
def split(session: Session, *, limit: int = 512) -> Observation:
    """Validation asks for held-out samples | Validation asks for training samples

    What: calls the subject's own evaluate function and compares each row that the model is given, bit for bit, with
        the fields of up to `limit` batches of train and of valid. `trained_rows` is the share found in train and not
        in valid. It is 0 for an evaluation that reads the loader it was given: scores of train beside those of valid
        are good practice.
    Why: a validation that reads the training loader gives fine, steadily rising scores of nothing but memory.
    Fix: iterate the loader that is handed to evaluate.
    Shapes: any field with one row per sample on its first axis.
    Units: trained_rows: 1 (n: rows found in one of the two).
    Source: TheDeepChecker, doi:10.1145/3529318; ours.
    """
    model, asked = session.model, []
    handle = register_module_forward_pre_hook(lambda module, inputs: _keep(asked, inputs))
    try:
        seen = evaluations.evaluate(session, model)
    finally:
        handle.remove()
    if seen.passes:
        return Observation({"trained_rows": Measurement(0.0, n=max(seen.passes))})
    rows = [row for tensor in asked for row in _prints(tensor)]
    held, trained = (_rows_of(session, name, limit) for name in ("valid", "train"))
    if not rows or not held or not trained:
        raise NotApplicable("the model is not given rows of a batch as they are")
    of_train = sum(row in trained and row not in held for row in rows)
    known = of_train + sum(row in held for row in rows)
    if not known:
        raise NotApplicable("the model is not given rows of a batch as they are")
    return Observation({"trained_rows": Measurement(of_train / known, n=known)})


def _keep(asked: list[Tensor], inputs: Any) -> None:
    for tensor in nested.tensors(inputs).values():
        if len(asked) < 4096 and tensor.dim() > 1 and tensor.shape[0] and tensor[0].numel() >= _SMALL:
            asked.append(tensor.detach().clone())


def _prints(tensor: Tensor) -> Iterable[bytes]:
    return (fingerprint(row) for row in tensor.cpu())


def _rows_of(session: Session, name: str, limit: int) -> Prints:
    found: Prints = set()
    for number, batch in enumerate(session.loader(name)):
        if number == limit or session.seconds_left < 0:
            break
        for tensor in nested.tensors(batch).values():
            if tensor.dim() > 1 and tensor.shape[0] and tensor[0].numel() >= _SMALL:
                found.update(_prints(tensor.detach()))
    return found


@fault()
def scores_of_train(subject: Subject) -> Subject:
    """Validation iterates the training loader."""
    inner: Any = subject.evaluate

    def evaluate(model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
        with torch.random.fork_rng(devices=[]):
            return inner(model, subject.splits["train"].batches())

    return replace(subject, evaluate=evaluate)
