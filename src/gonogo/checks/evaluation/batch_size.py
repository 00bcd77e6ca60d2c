"""A score must not depend on how the held-out samples are cut into batches."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler, SequentialSampler

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.draws import Draws
from gonogo.instruments.evaluation import evaluations
from gonogo.instruments.evaluation.recut import recut
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_MOVED = 1e-3  # relative


@check(
    needs={C.MODEL, C.VALID, C.EVALUATE},
    effort=Effort.FIT,
    after=("evaluation.repeat", "evaluation.state", "evaluation.coverage", "model.batch-mixing"),
    criteria=[
        at_most("difference", warn=1e-3, source="ours: rounding 1e-6; a mean of ragged means 1e-2 or more"),
        at_most("counted_twice", fail=0, source="exact: a score of more rows than there are samples, moved by them"),
    ],
    since="0.2",
)
def batch_size(session: Session, *, most: int = 5000) -> Observation:
    """The score is the same for every batch size | The score depends on the batch size

    What: calls the subject's own evaluate function on valid as its loader cuts it, and cut into batches of another size
        whose last one is ragged. `difference` is the largest relative difference between two numbers of one name. If
        the model is then asked for more rows than there are samples, more or fewer of them with the way of cutting,
        and the numbers differ, `counted_twice` is how many rows too many were asked for.
    Why: a mean over batches of means per batch gives the few samples of the last batch the weight of a full one;
        precision, recall and correlations per batch have no meaning at all as a mean. Runs with other batch sizes
        cannot be compared then.
    Fix: cut off again the rows that only fill a batch up; add up sums and counts over all samples (or collect answers
        and targets) and divide once.
    Shapes: any.
    Units: difference: 1 (n: numbers compared); counted_twice: {row} (n: samples).
    Source: transformers issues 41898 and 41904; LMFlow issue 347.
    """
    if session.claims.couples_batch or session.claims.stochastic:
        raise NotApplicable("the subject claims that answers depend on the batch or on chance")
    model, loader = session.model, session.loader("valid")
    size, count = _cut(loader, most)
    other = _other_size(size, count)
    again: Any = _again if isinstance(loader, DataLoader) else recut
    with Draws() as draws:
        first = evaluations.evaluate(session, model, loader=again(loader, size))
    if not first.passes:
        raise NotApplicable("evaluate does not read the loader that it is given")
    if draws.count:  # other batches draw other numbers
        raise NotApplicable("the evaluation draws random numbers, batch by batch")
    second = evaluations.evaluate(session, model, loader=again(loader, other))
    rows = [(name, value, second.metrics.get(name, value)) for name, value in first.metrics.items()]
    if not rows:
        raise NotApplicable("evaluate returns no numbers")
    worst = max(evaluations.gap(one, two) for _, one, two in rows)
    worst = worst if worst > _rounding(model) else 0.0
    extra = max(first.rows, second.rows) - count
    few = count <= min(first.rows, second.rows) and max(first.rows, second.rows) < 2 * count  # no beams, no views
    uneven = few and first.rows != second.rows and worst > _MOVED
    table = Table("Scores of two batch sizes", ("number", f"{size} samples", f"{other} samples"), tuple(rows))
    found = {
        "difference": Measurement(worst, n=len(rows)),
        "counted_twice": Measurement(extra if uneven else 0, "{row}", n=count),
    }
    return Observation(found, (table,))


def _rounding(model: nn.Module) -> float:
    """How far two answers in the type of half-precision weights may lie apart; 0 for others."""
    kinds = {p.dtype for p in model.parameters()} & {torch.bfloat16, torch.float16}
    return max((torch.finfo(kind).eps for kind in kinds), default=0.0)


def _cut(loader: Any, most: int) -> tuple[int, int]:
    """Batch size and samples of a loader that can be cut anew."""
    if type(loader) in (list, tuple) and len(loader) > 1:
        sizes = [nested.size(batch) or 0 for batch in loader]
        return _few(sizes[0], sum(sizes), most)
    plain = isinstance(loader, DataLoader) and not isinstance(loader.dataset, IterableDataset)
    if not plain or type(loader.batch_sampler) is not BatchSampler or loader.batch_size is None:
        raise NotApplicable("the validation loader cannot be cut into other batches")
    if not isinstance(loader.sampler, SequentialSampler | RandomSampler):
        raise NotApplicable("the validation loader has a sampler of its own")
    return _few(loader.batch_size, len(loader.sampler), most)


def _few(size: int, count: int, most: int) -> tuple[int, int]:
    if count > most:
        raise NotApplicable(f"{count} samples are too many to evaluate twice more (most = {most})")
    if count < 3:
        raise NotApplicable("two samples cannot be cut in two ways")
    return size, count


def _other_size(size: int, count: int) -> int:
    """Another size with a ragged last batch, near two thirds of the usual one."""
    wanted = max(min(size, count) * 2 // 3, 2)
    near = [wanted, *range(wanted + 1, count), *range(wanted - 1, 1, -1)]
    return next((n for n in near if n != size and 0 < count % n < n), wanted)


def _again(loader: Any, size: int) -> DataLoader[Any]:
    return DataLoader(loader.dataset, size, collate_fn=loader.collate_fn)


@fault(expect=Status.WARN, toy="regressor")
def mean_of_batch_means(subject: Subject) -> Subject:
    """The score is the mean over batches of the mean per batch."""
    loss: Any = subject.loss

    def evaluate(model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
        model.eval()
        with torch.no_grad():
            means = [float(loss(model, batch)) for batch in loader]
        model.train()
        return {"mean_squared_error": sum(means) / len(means)}

    return replace(subject, evaluate=evaluate)
