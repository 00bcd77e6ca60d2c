"""Every row of a batch must have its part in the step."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.rows import sample_rows
from gonogo.instruments.step import own_steps
from gonogo.instruments.step.own_steps import OwnSteps
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

ROWS, SEEDS = 6, 4


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN, C.STEP},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps", "learning.step-parity"),
    criteria=[
        at_most(
            "ignored", fail=0, source="ours: exact; other rows in their places change no bit of the step's gradient"
        )
    ],
    explains=("learning.",),
    since="0.2",
)
def row_coverage(session: Session) -> Observation:
    """Every row of a batch counts in the step | The step leaves rows of its batch out

    What: takes one batch, puts another row in the place of one row, and looks at what the optimizer holds at the first
        step of the run's own step function. `ignored` counts rows (of up to six that are tried) for which no bit of
        it changes, with other rows in their places that do count in their own, and under four seeds, although the
        gradient of the declared loss does change.
    Why: workers that all take the first shard, a slice with the wrong stride, micro-batches whose rest is thrown away:
        a part of the data is paid for and never learned from, and nothing else shows it.
    Fix: look at how the step cuts its batch: rank::world_size, chunk, range(0, n, size) and what is left over.
    Shapes: batches with samples as rows.
    Units: ignored: rows.
    Source: transformers issue 11254, datasets issue 5360 (all workers see the same rows).
    """
    if session.claims.accumulation > 1:
        raise NotApplicable("gradient.accumulation weighs the rows of a window of several calls")
    [batch] = session.batches("train", limit=1)
    rows = sample_rows(session, batch, least=4)
    tried = sorted({round(at * (rows - 1) / (ROWS - 1)) for at in range(ROWS)})
    before, near = _held(session, batch, 0), [[row + 1, row + 1 + rows // 2] for row in tried]
    others = [_others(batch, rows, row, two) for row, two in zip(tried, near, strict=True)]
    silent = [row for row, two in zip(tried, others, strict=True) if not _counts(session, two, before)]
    if len(silent) == len(tried):
        raise NotApplicable("the step does not depend on the rows of the batch that it is given")
    # A step may learn from the hardest rows alone: then a row that does count counts in any place.
    counting = [row for row in tried if row not in silent][:2]
    ignored = [row for row in silent if not _excused(session, batch, _others(batch, rows, row, counting))]
    table = Table("Rows that the step leaves out", ("row", "of"), tuple((row, rows) for row in ignored))
    return Observation({"ignored": Measurement(len(ignored), "{row}", n=len(tried))}, (table,))


def _excused(session: Session, batch: Any, others: list[Any]) -> bool:
    """Is a row without an effect seen under some seed, or no part of the declared loss either?"""
    if any(_counts(session, others, _held(session, batch, seed), seed) for seed in range(SEEDS)):
        return True
    whole, *changed = own_steps.loss_gradients(session, [batch, *others], training=False)
    return all(torch.equal(whole, other) for other in changed)


def _counts(session: Session, others: Sequence[Any], before: Tensor, seed: int = 0) -> bool:
    """Does the optimizer hold something else with one of the other batches?"""
    return any(not torch.equal(before, _held(session, other, seed)) for other in others)


def _others(batch: Any, rows: int, row: int, by: Sequence[int]) -> list[Any]:
    """The batch with each of some other rows in the place of one."""
    orders = [[other % rows if at == row else at for at in range(rows)] for other in by]
    return [nested.take_rows(nested.clone(batch), order, rows) for order in orders]


def _held(session: Session, batch: Any, seed: int) -> Tensor:
    own = OwnSteps(session)
    own_steps.only_one(own)
    own.calls = seed  # calls have seeds of their own
    own_steps.refuse_closures(updates := own.until_update([batch], patience=own_steps.PATIENCE // 4))
    if not updates:
        raise NotApplicable("the subject's step never called optimizer.step()")
    return torch.cat([update.gradient for update in updates])


def _on(subject: Subject, chosen: Callable[[int], Sequence[int]]) -> Subject:
    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        rows = nested.size(batch) or 0
        loss = subject._given("loss")(model, nested.take_rows(batch, list(chosen(rows)), rows))
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return replace(subject, step=step)


@fault()
def all_workers_take_one_shard(subject: Subject) -> Subject:
    """Both shards of the batch are its even rows."""
    return _on(subject, lambda rows: [*range(0, rows, 2)] * 2)


@fault(toy="regressor")
def the_rest_is_thrown_away(subject: Subject) -> Subject:
    """Micro-batches of five leave a rest that nobody takes."""
    return _on(subject, lambda rows: range(rows - rows % 5 if rows % 5 else rows - 5))
