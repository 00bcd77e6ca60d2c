"""Two processes on halves of a batch must learn what one learns on all of it."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from gonogo.audit.source import define, sources
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most, within
from gonogo.core.measurement import Measurement, Observation
from gonogo.errors import NotApplicable
from gonogo.instruments.answers import equivalence
from gonogo.instruments.step import own_steps, ranks
from gonogo.instruments.step.micro_batches import micro_batches
from gonogo.instruments.step.own_steps import OwnSteps
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

WORLD, LIMIT, SMALL = 2, 1e-2, 1e-3
_WORDS = re.compile(
    r"torch\.distributed|torch import distributed|DistributedDataParallel|all_reduce|init_process_group"
)


@check(
    needs={C.MODEL, C.OPTIMIZER, C.TRAIN, C.STEP},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps"),
    criteria=[
        at_most("error", warn=1e-3, fail=LIMIT, source="ours: rounding 1e-7; a mean of unequal means 0.05 and more"),
        within("ratio", fail=(0.9, 1.1), source="ours: 2 or 1/2 is the world size, not divided by or divided by twice"),
        at_most("apart", warn=1e-6, fail=1e-3, source="ours: ranks that start alike and add the same stay alike"),
        at_most("unmatched", fail=0, source="ours: a rank that waits for one that does not come waits for ever"),
    ],
    explains=("learning.",),
    since="0.2",
)
def world_size(session: Session) -> Observation:
    """Two processes learn what one learns | Two processes learn something else than one

    What: where the subject's code uses torch.distributed, takes the run's own step as rank 0 and rank 1 of two, each
        with half of a batch (or all of it, where the step takes its own part), simulated in one process. `error` is the
        difference of what the optimizer holds from what it holds in a world of one with the whole batch; `ratio` is the
        factor between the two where their directions agree. `apart` is the relative difference of the weights of both
        ranks after the update; `unmatched` is 1 if one rank makes other exchanges than the other. Dropout and batch
        statistics are off.
    Why: gradients that are summed make the learning rate grow with the number of devices; means over each device's own
        tokens let the tokens of short texts count more; ranks that drift apart train several models.
    Fix: divide by the world size once (DistributedDataParallel does); divide sums over tokens by the count over all
        ranks; clip after the exchange, with the same norm on all ranks.
    Shapes: batches with samples as rows.
    Units: error, ratio, apart: 1; unmatched: 0 or 1.
    Source: transformers issue 34242, torchtitan issue 2206, lightly issue 1977, DeepSpeed issue 1801.
    """
    if not any(_WORDS.search(source.text) for source in sources(session.subject)):
        raise NotApplicable("the subject's code does not use torch.distributed")
    if session.claims.accumulation > 1:
        raise NotApplicable("an update takes several calls: gradient.accumulation weighs them")
    whole, parts = micro_batches(session, WORLD)
    world = ranks.simulate(WORLD, lambda rank: _held(session, [whole] * WORLD, rank))
    if not world.exchanges:
        raise NotApplicable("the step exchanges no number with other processes")
    if world.matched and world.alike:  # the step does not choose rows by its rank: the sampler does
        world = ranks.simulate(WORLD, lambda rank: _held(session, parts, rank))
    if not world.matched:
        return Observation({"unmatched": Measurement(1)})
    return _compared(session, whole, world)


def _compared(session: Session, whole: Any, world: ranks.World) -> Observation:
    seen, weights = ([result[part] for result in world.results] for part in (0, 1))
    rows = nested.size(whole) or 0
    turned = nested.take_rows(whole, list(range(rows))[::-1], rows)
    [wanted, again] = [ranks.simulate(1, lambda rank, one=one: _held(session, [one], 0)[0]) for one in (whole, turned)]
    if not wanted.results[0].any():
        raise NotApplicable("a world of one has no gradient")
    noise = equivalence.relative_error(again.results[0], wanted.results[0])
    found = max((equivalence.compare(one, wanted.results[0], noise=noise) for one in seen), key=lambda one: one.error)
    # Where only a count or a loss to be logged is exchanged, DistributedDataParallel may be put around elsewhere.
    low = None if world.size >= len(wanted.results[0]) else 0.0
    both = [found.measured(LIMIT), Measurement(equivalence.relative_error(weights[1], weights[0]))]
    error, apart = (one if low is None else replace(one, low=0.0, high=one.high or one.value) for one in both)
    factors = {"the world size": WORLD, "one over the world size": 1 / WORLD, "the world size squared": WORLD**2}
    measured = {"error": error, "apart": apart, "unmatched": Measurement(0)}
    if low is None and found.direction > 1 - 1e-3:
        measured["ratio"] = equivalence.sure_ratio(found.ratio, factors.values(), n=WORLD)
    return Observation(measured, (found.table("Gradient of two ranks against one", factors),))


def _held(session: Session, batches: list[Any], rank: int) -> tuple[Tensor, Tensor]:
    """(what the optimizer holds at the first step, the weights after it)."""
    own = OwnSteps(session)
    own_steps.only_one(own)
    ranks.attach(own.model)
    _quiet(own.model)
    own_steps.refuse_closures(updates := own.call(batches[rank], factor=SMALL))
    if not updates:
        raise NotApplicable("the first call of the step makes no update")
    return updates[0].gradient / SMALL, own.weights()


def _quiet(model: nn.Module) -> None:
    """Evaluation mode that the step cannot leave: masks and batch statistics differ between cuts of a batch."""
    model.eval()
    for module in model.modules():
        vars(module)["train"] = lambda mode=True, module=module: module


_STEP = """
import torch.distributed as dist

def make(loss, divisor):
    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        for parameter in model.parameters():
            if parameter.grad is not None and dist.is_initialized():
                dist.all_reduce(parameter.grad)
                parameter.grad /= divisor(dist)
        optimizer.step()
        return value.item()
    return step
"""


def _exchanging(subject: Subject, divisor: Callable[[Any], float]) -> Subject:
    """A copy whose step adds up the gradients of all ranks and divides them."""
    return replace(subject, step=define("step of two ranks", _STEP)["make"](subject._given("loss"), divisor))


@fault(toy="regressor")
def gradients_summed(subject: Subject) -> Subject:
    """Gradients are summed over the ranks, and not divided."""
    return _exchanging(subject, lambda library: 1.0)


@fault(toy="regressor")
def each_rank_divides_by_another_number(subject: Subject) -> Subject:
    """Each rank divides by a number of its own."""
    return _exchanging(subject, lambda library: library.get_world_size() + library.get_rank())
