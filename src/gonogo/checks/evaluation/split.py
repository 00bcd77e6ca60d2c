"""Validation must look at the held-out samples that it is given."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
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
from gonogo.instruments.evaluation import evaluations
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

Samples = dict[bytes, set[int]]  # by the print of one of their fields
Row = list[tuple[bytes, int]]  # what one call is given for one sample: prints, and what they weigh
_SMALL = 4  # numbers of a row, fractions twice: less coincides by nature
_MOST = 4096  # calls


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

    What: calls the subject's own evaluate function and compares each row that the model is given in a call, all its
        fields together and bit for bit, with the samples of up to `limit` batches of train and of valid. `trained_rows`
        is the share found in train and not in valid. It is 0 for an evaluation that reads the loader it was given:
        scores of train beside those of valid are good practice.
    Why: a validation that reads the training loader gives fine, steadily rising scores of nothing but memory.
    Fix: iterate the loader that is handed to evaluate.
    Shapes: any field with one row per sample on its first axis.
    Units: trained_rows: 1 (n: rows found in one of the two).
    Source: TheDeepChecker, doi:10.1145/3529318; ours.
    """
    model, asked = session.model, []
    with _watched(model, asked):
        seen = evaluations.evaluate(session, model)
    if seen.passes:
        return Observation({"trained_rows": Measurement(0.0, n=max(seen.passes))})
    held, trained = (_samples_of(session, name, limit) for name in ("valid", "train"))
    places = [(_among(row, trained), _among(row, held)) for row in _told(asked, held, trained)]
    of_train = sum(in_train and not in_valid for in_train, in_valid in places)
    known = of_train + sum(in_valid for _, in_valid in places)
    if not known:
        raise NotApplicable("the model is not given rows of a batch as they are")
    return Observation({"trained_rows": Measurement(of_train / known, n=known)})


@contextmanager
def _watched(model: nn.Module, asked: list[list[Tensor]]) -> Iterator[None]:
    def keep(module: nn.Module, inputs: Any, named: Any = None) -> None:
        tensors = [tensor for tensor in nested.tensors((inputs, named)).values() if tensor.dim()]
        if len(asked) < _MOST and tensors and (module is model) == (named is not None):
            asked.append([tensor.detach().clone() for tensor in tensors])

    handles: list[Any] = [register_module_forward_pre_hook(keep)]
    with suppress(RuntimeError):  # TorchScript takes no hooks
        handles.append(model.register_forward_pre_hook(keep, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _prints(tensors: Iterable[Tensor]) -> Iterator[Row]:
    """The samples along the first axis that most of these tensors share."""
    tensors = [tensor.cpu() for tensor in tensors]
    rows = max((len(tensor) for tensor in tensors if tensor.dim()), default=0)
    fields = [tensor for tensor in tensors if tensor.dim() and len(tensor) == rows]
    weights = [field[0].numel() * (2 if _fractions(field) else 1) for field in fields if rows]
    for parts in zip(*fields, strict=True):
        yield [(fingerprint(part), weight) for part, weight in zip(parts, weights, strict=True)]


def _fractions(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and bool((tensor != tensor.round()).any())


def _told(asked: list[list[Tensor]], *splits: Samples) -> Iterator[Row]:
    """What of the calls occurs in either split, where it is enough to tell samples apart."""
    for row in (row for tensors in asked for row in _prints(tensors)):
        known = [(mark, weight) for mark, weight in row if any(mark in split for split in splits)]
        if sum(weight for _, weight in known) >= _SMALL:
            yield known


def _among(row: Row, samples: Samples) -> bool:
    return bool(set.intersection(*(samples.get(mark, set()) for mark, _ in row)))


def _samples_of(session: Session, name: str, limit: int) -> Samples:
    found: Samples = {}
    count = 0
    for number, batch in enumerate(session.loader(name)):
        if number == limit or session.seconds_left < 0:
            break
        for row in _prints(tensor.detach() for tensor in nested.tensors(batch).values()):
            count += 1
            for mark, _ in row:
                found.setdefault(mark, set()).add(count)
    return found


@fault()
def scores_of_train(subject: Subject) -> Subject:
    """Validation iterates the training loader."""
    inner: Any = subject.evaluate

    def evaluate(model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
        with torch.random.fork_rng(devices=[]):
            return inner(model, subject.splits["train"].batches())

    return replace(subject, evaluate=evaluate)
