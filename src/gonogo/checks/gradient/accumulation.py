"""Micro-batches must add up to the gradient of the whole batch."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most, within
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.equivalence import Fit, fit, sure_ratio
from gonogo.instruments.step import own_steps
from gonogo.instruments.step.micro_batches import micro_batches, token_shares
from gonogo.instruments.step.own_steps import OwnSteps
from gonogo.training.session import Session
from gonogo.training.subject import Subject

SMALL = 1e-3  # gradients are scaled by it where they arrive, so that no clipping acts on them
_ANYWAY = "ours: forgotten division gives k, a dropped part 0; right ones 1 to seven digits"


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN, C.STEP},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps"),
    criteria=[
        within("ratio", warn=(0.98, 1.02), fail=(0.9, 1.4), source=_ANYWAY),
        at_most("weight_error", warn=0.01, fail=0.02, source="ours: transformers issue 34191 had 0.1 and more"),
    ],
    explains=("learning.", "gradient.vanishing-exploding", "optimizer.update-size"),
    since="0.1",
)
def accumulation(session: Session) -> Observation:
    """Accumulated gradients are those of the whole batch | Accumulated gradients are not those of the whole batch

    What: cuts a batch into micro-batches of equal rows, short ones first, runs one accumulation window of the run's
        own step, and writes the gradient that the optimizer holds as a sum of the micro-batches' gradients. `ratio` is
        the sum of these weights over the sum that the declared loss gives for the whole batch; `weight_error` is the
        largest difference of a single share. Without declared accumulation the step's own chunks are looked for, and
        micro-batches of several calls that have no part in their update.
    Why: without the division by the number of micro-batches the learning rate is k times as high. The mean of the means
        of micro-batches with unequal token counts lets tokens of short texts count more than those of long ones.
    Fix: divide each micro-batch's loss by their number; where the loss is a mean over tokens, sum the losses and
        divide once by all tokens of the window. Clear gradients once per window, not per micro-batch.
    Shapes: batches with samples as rows.
    Units: ratio, weight_error: 1.
    Source: transformers issue 34191, unsloth-zoo issue 1023, axolotl issue 1100.
    """
    count, pad = session.claims.accumulation, session.claims.pad_id
    unsaid = own_steps.window(session) if count <= 1 else 1  # calls for an update, where no claim says how many
    parts, seen, wanted = _declared(session, c) if (c := max(count, unsaid)) > 1 else _within_a_step(session)
    if unsaid > 1 and all(abs(one) > 1e-3 for one in seen.coefficients):
        raise NotApplicable(f"an update takes {unsaid} calls: say Claims(accumulation={unsaid})")
    if not seen.explains(0.02) or not wanted.total or not seen.total:
        raise NotApplicable("the step's gradient is no sum of the declared loss's gradients")
    shares = [[c / one.total for c in one.coefficients] for one in (seen, wanted)]
    count = len(parts)
    # Factors other than the number of micro-batches may be meant: a step may scale the declared loss.
    found = {"ratio": sure_ratio(seen.total / wanted.total, (count, 1 / count), n=count)}
    if wanted.explains(1e-3):  # else the loss of the whole batch is no sum over its parts, and says nothing of shares
        error = max(abs(a - b) for a, b in zip(*shares, strict=True)) * count
        # Weighted classes and random masks make shares unequal, too, and nobody divides by those.
        sure = any(_near(shares[1], other) for other in [[1 / count] * count, *token_shares(parts, pad)])
        found["weight_error"] = Measurement(error, low=None if sure else 0.0, high=None if sure else error, n=count)
    rows = tuple((i, *pair) for i, pair in enumerate(zip(seen.coefficients, wanted.coefficients, strict=True)))
    return Observation(found, (Table("Weight of each micro-batch", ("micro-batch", "seen", "expected"), rows),))


def _near(one: Sequence[float], two: Sequence[float]) -> bool:
    return all(abs(a - b) < 2e-3 for a, b in zip(one, two, strict=True))


def _declared(session: Session, count: int) -> tuple[list[Any], Fit, Fit]:
    """One window of `count` calls against one gradient of the whole."""
    whole, parts = micro_batches(session, count)
    seen, expected = _held(session, parts)[0], _expected(session, whole, parts)
    if not expected.explains(1e-3):  # rows that see each other: equal parts then
        expected = Fit((1 / count,) * count, 1.0)
    return parts, fit(seen, own_steps.loss_gradients(session, parts)), expected


def _expected(session: Session, whole: Any, parts: list[Any]) -> Fit:
    [gradient, *of_parts] = own_steps.loss_gradients(session, [whole, *parts], training=False)
    return fit(gradient, of_parts)


def _within_a_step(session: Session) -> tuple[list[Any], Fit, Fit]:
    """One call that cuts its batch itself: into as many parts as it runs the model."""
    whole, _ = micro_batches(session, 2)
    _, forwards = _held(session, [whole])
    count = forwards // max(own_steps.forwards_of_loss(session, whole), 1)
    if count < 2:
        raise NotApplicable("each call makes one update from one forward pass: nothing is accumulated")
    whole, parts = micro_batches(session, count)
    expected, held = _expected(session, whole, parts), _held(session, [whole])[0]
    found = fit(held, own_steps.loss_gradients(session, parts))
    if not (expected.explains(1e-3) and found.explains(1e-3)):
        raise NotApplicable("the parts into which a call cuts its batch cannot be told apart")
    return parts, found, expected


def _held(session: Session, parts: Sequence[Any]) -> tuple[Tensor, int]:
    """The gradient at the first optimizer step after exactly one call per part, and the forward passes up to it."""
    for _ in range(2):  # a counter outside the build may be out of phase the first time
        own = OwnSteps(session)
        own_steps.only_one(own)
        own_steps.refuse_closures(found := own.until_update(parts, factor=SMALL))
        if len(found) > 1:
            raise NotApplicable("one call of the step makes several updates")
        if own.updates and own.calls == len(parts):
            return found[0].gradient / SMALL, own.forwards
    raise NotApplicable(f"the window of accumulation is not the {len(parts)} calls that were expected")


def _accumulating(subject: Subject, share: Callable[[int], float]) -> Subject:
    """A copy that accumulates over two calls, each loss multiplied by its share."""
    calls = [0]

    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        loss = subject._given("loss")(model, batch)
        (loss * share(calls[0] % 2)).backward()
        calls[0] += 1
        if calls[0] % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return float(loss.detach())

    return replace(subject, step=step).with_claims(accumulation=2)


@fault()
def division_forgotten(subject: Subject) -> Subject:
    """The loss of a micro-batch is not divided by their number."""
    return _accumulating(subject, lambda index: 1.0)


@fault(toy="seq2seq")
def means_of_unequal_parts(subject: Subject) -> Subject:
    """Token means of micro-batches with unequal token counts are averaged."""
    return _accumulating(subject, lambda index: 0.5)


@fault(toy="regressor")
def last_part_dropped(subject: Subject) -> Subject:
    """The last micro-batch of each window does not count."""
    return _accumulating(subject, lambda index: 1.0 - index)
