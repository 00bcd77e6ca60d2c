"""What a model does when streams are absent: all combinations of those that its masks can take away.

Legend of shapes: b samples, t steps.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gonogo.errors import NotApplicable
from gonogo.instruments.streams.answers import answer, awake, change, finite
from gonogo.instruments.streams.drops import declared
from gonogo.instruments.streams.fields import Stream, streams
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating

MOST = 4  # streams: sixteen combinations, less the empty one


@dataclass(frozen=True, slots=True)
class Combination:
    """What came of one combination, in a batch of which all samples have these streams and no others.

    Attributes:
        present: The streams that are there.
        meant: Does the run itself leave the others out: in its data, or by modality dropout?
        refused: The model's own words, if it raised.
        broken: What was not finite: outputs, the loss, or gradients, in which mode.
        leaked: The largest relative change of an answer by what stands in absent streams.
    """

    present: tuple[str, ...]
    meant: bool
    refused: str = ""
    broken: tuple[str, ...] = ()
    leaked: float = 0.0


def combinations(session: Session) -> list[Combination]:
    """Every combination with at least one stream of those with a mask; streams without one are always there.

    Raises:
        NotApplicable: No stream, or more than four, can be taken away.
    """
    masked = [stream for stream in streams(session) if stream.mark is not None]
    if not masked:
        raise NotApplicable("no stream has a mask that could say that it is absent")
    if len(masked) > MOST:
        raise NotApplicable(f"{len(masked)} streams have {2 ** len(masked) - 1} combinations")
    sometimes = _sometimes_absent(session, masked)
    least = 1 if len(masked) == len(streams(session)) else 0
    sizes = range(len(masked), least - 1, -1)
    chosen = [some for size in sizes for some in itertools.combinations(masked, size)]
    model = awake(session)
    [batch] = session.batches("train", limit=1)
    return [_tried(session, model, batch, masked, some, sometimes) for some in chosen]


def _sometimes_absent(session: Session, masked: list[Stream]) -> frozenset[str]:
    """The streams that the run itself leaves out, in its first batches or by the modality dropout that it declares."""
    batches, said = session.batches("train", limit=4), declared(session)
    if said is not None and said[1]:
        return frozenset(one.name for one in masked)
    return frozenset(one.name for one in masked for batch in batches if not bool(one.there(batch).any(1).all()))


def _tried(
    session: Session,
    model: nn.Module,
    batch: Any,
    masked: list[Stream],
    some: tuple[Stream, ...],
    absent: frozenset[str],
) -> Combination:
    present = tuple(one.name for one in some)
    missing = [one for one in masked if one not in some]
    meant = all(one.name in absent for one in missing)
    try:
        return _measured(session, model, _only(batch, some, missing), missing, present, meant)
    except Exception as error:  # its own refusal of a sample without this stream
        return Combination(present, meant, refused=f"{type(error).__name__}: {error}"[:120])


def _only(batch: Any, some: tuple[Stream, ...], missing: list[Stream]) -> Any:
    """The batch with these streams and no others; of the samples that have them, as often as it takes."""
    for one in missing:
        batch = one.with_there(batch, torch.zeros_like(one.there(batch)))
    have = torch.stack([one.there(batch).any(1) for one in some]).all(0) if some else torch.ones(1)
    rows, size = have.nonzero().flatten().tolist(), nested.size(batch) or 0
    if not some or len(rows) == size:
        return batch
    if not rows:
        raise ValueError("no sample of the first batch has all of these")
    return nested.take_rows(batch, [rows[index % len(rows)] for index in range(size)], size)


def _measured(
    session: Session, model: nn.Module, batch: Any, missing: list[Stream], present: tuple[str, ...], meant: bool
) -> Combination:
    base = answer(session, model, batch)
    broken = [] if finite(base) else ["answers"]
    leaked = 0.0
    if missing and not broken:
        other = batch
        for one in missing:
            other = one.with_other(other, ~one.there(batch), session.seed)
        leaked = change(base, answer(session, model, other), missing[0].there(batch))
    return Combination(present, meant, broken=(*broken, *_broken_in_training(session, model, batch)), leaked=leaked)


def _broken_in_training(session: Session, model: nn.Module, batch: Any) -> list[str]:
    """The loss and gradients of one pass in training mode, as far as they are not finite."""
    with evaluating(model), seeding.seeded(session.seed), torch.enable_grad():
        model.zero_grad(set_to_none=True)
        loss = session.loss(nested.clone(batch), model.train())
        if not bool(loss.isfinite()):
            return ["the loss in training"]
        if loss.requires_grad:
            loss.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad(set_to_none=True)
    good = all(
        bool(gradient.coalesce().values().isfinite().all() if gradient.is_sparse else gradient.isfinite().all())
        for gradient in gradients
    )
    return [] if good else ["gradients in training"]
