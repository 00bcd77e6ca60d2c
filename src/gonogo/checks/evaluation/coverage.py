"""A score of part of the held-out samples is a score of another set."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from torch import nn
from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.evaluation import evaluations
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_LIMIT = re.compile(r"(?i).*(val|valid|eval)\w*_?(batches|iters|steps|limit|samples)|(limit|max|num)_(val|eval)\w*")


@check(
    needs={C.MODEL, C.VALID, C.EVALUATE},
    effort=Effort.FIT,
    explains=("evaluation.batch-size",),
    criteria=[
        at_most("left_out", warn=0.0, fail=0.01, source="exact: a share s of unseen samples moves an accuracy by s"),
        at_most("declared_limit", warn=0.2, source="ours: a declared limit is a choice, and a rough score"),
    ],
    since="0.2",
)
def coverage(session: Session) -> Observation:
    """Every held-out sample is evaluated | Held-out samples are left out of the score

    What: calls the subject's own evaluate function with its own validation loader and counts what was read:
        `left_out` is the share of samples that the loader drops (drop_last), that evaluate does not read because it
        stops early, or for which it does not ask the model. If the configuration names a limit of validation
        batches, the share goes to `declared_limit` instead.
    Why: the samples left out are always the same ones, often the rare ones at the end of a sorted set; scores of two
        batch sizes are then scores of two sets.
    Fix: drop_last=False for validation; read the loader to its end; weight batches by their size.
    Shapes: any.
    Units: left_out, declared_limit: 1 (share of samples; n: batches read).
    Source: github.com/inclusionAI/AReaL issue 1095.
    """
    loader: Any = session.loader("valid")
    model = session.model
    seen = evaluations.evaluate(session, model, loader=loader)
    if not seen.passes:
        raise NotApplicable("evaluate does not read the loader that it is given")
    read, answered = max(seen.passes), _answered(seen)
    sizes, dropped = _sizes(loader, session, seen.complete)
    evaluated = sum(sizes[: min(read, answered)])
    share = 1.0 - evaluated / ((sum(sizes) + dropped) or 1)
    declared = _declared(session) and not dropped
    name = "declared_limit" if declared else "left_out"
    rows = (
        ("dropped by the loader", dropped),
        ("not read by evaluate", sum(sizes[read:])),
        ("read, but the model was not asked", max(sum(sizes[:read]) - evaluated, 0)),
        ("evaluated", evaluated),
    )
    found = {"left_out": Measurement(0.0, n=read)} | {name: Measurement(max(share, 0.0), n=read)}
    return Observation(found, (Table("Held-out samples", ("what became of them", "samples"), rows),))


def _answered(seen: evaluations.Evaluation) -> int:
    """Batches for which the model was asked; all of them where calls and batches have no plain relation."""
    read = max(seen.passes)
    skips = len(seen.passes) == 1 and read / 2 < seen.calls < read
    return seen.calls if skips else read


def _sizes(loader: Any, session: Session, complete: bool) -> tuple[list[int], int]:
    """Samples per batch, and those that the sampler gives and the loader drops."""
    if isinstance(loader, DataLoader) and not isinstance(loader.dataset, IterableDataset):
        groups = loader.batch_sampler
        if type(groups) is BatchSampler:
            sizes = [len(group) for group in groups]
            return sizes, max(len(groups.sampler) - sum(sizes), 0)  # type: ignore[arg-type]
    if not complete:
        try:
            len(loader)
        except TypeError:
            raise NotApplicable("the validation set is a stream without a length, and evaluate takes a part") from None
    sizes = []
    for batch in session.loader("valid"):
        if session.seconds_left < 0:
            raise NotApplicable("the validation set takes longer to read than the check may last")
        sizes.append(nested.size(batch) or 1)
    return sizes, 0


def _declared(session: Session) -> bool:
    given = session.subject.config
    if not isinstance(given, Mapping):
        return False
    names = [path.rsplit(".", 1)[-1] for path, value in nested.walk(given) if value]
    return any(_LIMIT.fullmatch(name) for name in names)


@fault()
def last_batch_dropped(subject: Subject) -> Subject:
    """The validation loader drops its last batch."""

    def build() -> DataLoader[Any]:
        loader: Any = subject.splits["valid"].batches()
        return DataLoader(loader.dataset, loader.batch_size, collate_fn=loader.collate_fn, drop_last=True)

    return subject.map_split("valid", lambda split: replace(split, batches=build))


@fault(toy="regressor")
def only_some_batches(subject: Subject) -> Subject:
    """Validation stops after three batches, and says so nowhere."""
    inner: Any = subject.evaluate

    def evaluate(model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
        return inner(model, islice(iter(loader), 3))

    return replace(subject, evaluate=evaluate)
