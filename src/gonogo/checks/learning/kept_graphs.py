"""What a step computed must be forgotten when the step is over."""

import gc
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.step import own_steps
from gonogo.training import batch as nested
from gonogo.training.session import Session, all_of
from gonogo.training.subject import Subject

UPDATES = 4
MANY = 300_000  # nodes: enough to tell, and more would take long


@check(
    needs={C.MODEL, C.OPTIMIZER, C.TRAIN, C.STEP},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps"),
    criteria=[at_most("kept", warn=0, source="ours: a count; healthy runs keep at most the graph of the last step")],
    since="0.2",
)
def kept_graphs(session: Session) -> Observation:
    """Steps leave no graph behind | Every step leaves its graph behind

    What: calls the run's own step on one batch and counts after each update how many nodes of the autograd graph are
        still held by some tensor. `kept` is how many nodes every further update leaves behind, if the count grows at
        each one and has more than doubled; a run that keeps its last loss keeps a constant number.
    Why: a running loss that is a tensor, or a list of losses, holds the history of every step: memory grows until the
        run dies hours later, and adding up takes longer and longer.
    Fix: add loss.item() or loss.detach(), never the loss; detach states that are carried on.
    Shapes: any.
    Units: kept: graph nodes per update.
    Source: PyTorch FAQ, "Don't accumulate history across your training loop".
    """
    [batch] = session.batches("train", limit=1)
    before = _held_after_update(session, batch)  # much is built and imported at the first step
    old = [weakref.ref(tensor) for tensor in _live_tensors()]
    gc.freeze()  # what is older than this is not gone through again, which makes the count cheap
    try:
        counts = [_held_after_update(session, batch, old) - before for _ in range(UPDATES)]
    finally:
        gc.unfreeze()
    more = [later - earlier for earlier, later in pairwise(counts)]
    grows = min(more) > 0 and counts[-1] > 2 * counts[0]
    rows = tuple((update + 1, count) for update, count in enumerate(counts))
    table = Table("Nodes that are still held", ("updates", "nodes"), rows, kind="line")
    return Observation({"kept": Measurement(min(more) if grows else 0, "{node}", n=UPDATES)}, (table,))


def _held_after_update(session: Session, batch: Any, old: Sequence[weakref.ref[Tensor]] = ()) -> int:
    """Nodes of the graph that some tensor holds, after calls of the step that made one update."""
    done = [0]

    def count(*_: Any) -> None:
        done[0] += 1

    handles = [one.register_step_post_hook(count) for one in all_of(session.optimizer)]
    try:
        for _ in range(own_steps.PATIENCE):
            session.step(nested.clone(batch))
            if done[0] or session.seconds_left < 0:
                break
    finally:
        for handle in handles:
            handle.remove()
    if not done[0]:
        raise NotApplicable("the subject's step never called optimizer.step()")
    gc.collect()
    living = (tensor for tensor in (reference() for reference in old) if tensor is not None)
    return _nodes([*living, *_live_tensors()])


def _nodes(tensors: Sequence[Tensor]) -> int:
    seen, waiting = set(), [tensor.grad_fn for tensor in tensors]
    while waiting and len(seen) < MANY:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
    return len(seen)


def _live_tensors() -> Iterator[Tensor]:
    for thing in gc.get_objects():
        if issubclass(type(thing), Tensor):
            yield thing


def _keeping(subject: Subject, keep: Any) -> Subject:
    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        loss = subject._given("loss")(model, batch)
        loss.backward()
        optimizer.step()
        keep(model, loss)
        return float(loss.detach())

    return replace(subject, step=step)


@fault(expect=Status.WARN)
def losses_in_a_list(subject: Subject) -> Subject:
    """The losses are collected as they are."""

    def keep(model: Any, loss: Tensor) -> None:
        model.__dict__.setdefault("losses", []).append(loss)

    return _keeping(subject, keep)


@fault(expect=Status.WARN, toy="regressor")
def running_loss_with_history(subject: Subject) -> Subject:
    """The running loss is a tensor with the history of all steps."""

    def keep(model: Any, loss: Tensor) -> None:
        model.__dict__["total"] = model.__dict__.get("total", 0.0) + loss

    return _keeping(subject, keep)
