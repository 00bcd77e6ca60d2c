"""What a model answers when steps of a stream are hidden, filled with something else, or padded.

Only what is said about real steps counts: an encoder may answer anything at steps that are not there.
Legend of shapes: b samples, t steps.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from gonogo.errors import NotApplicable
from gonogo.instruments.answers.recorded_call import wake
from gonogo.instruments.memo import instrument
from gonogo.instruments.sequence.isolation import relative
from gonogo.instruments.streams.fields import Stream, streams
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating

EXACT = 1e-9  # relative, in float64: right masks land at 1e-16 to 1e-14
STEPS = (13, 1)  # that are appended: odd, so that no stride hides them

Outputs = dict[str, Tensor]


def answer(session: Session, model: nn.Module, batch: Any, seed: int | None = None) -> Outputs:
    """The outputs in evaluation mode, under a seed."""
    with torch.no_grad(), evaluating(model), seeding.seeded(session.seed if seed is None else seed):
        return session.outputs(nested.clone(batch), model)


def loss(session: Session, model: nn.Module, batch: Any) -> float:
    """The loss in evaluation mode, under the session's seed."""
    with torch.no_grad(), evaluating(model), seeding.seeded(session.seed):
        return float(session.loss(nested.clone(batch), model))


def finite(outputs: Outputs) -> bool:
    """Is there no nan? Scores of minus infinity are legitimate."""
    return not any(bool(output.isnan().any()) for output in outputs.values())


def change(before: Outputs, after: Outputs, there: Bool[Tensor, "b t"]) -> float:
    """The largest change of an output that speaks of samples or of real steps, relative to its size; nan counts as 1.

    Raises:
        NotApplicable: There is no such output.
    """
    pairs = [_comparable(before[path], after[path], there) for path in before if path in after]
    found = [float(relative(*pair).max()) for pair in pairs if pair is not None and pair[0].numel()]
    if not found:
        raise NotApplicable("no output can be told apart from answers at steps that are not there")
    return max(found)


def _comparable(one: Tensor, other: Tensor, there: Bool[Tensor, "b t"]) -> tuple[Tensor, Tensor] | None:
    """Both as [b, 1, ...] with zeros at hidden steps; None if they have steps in an order that is not known."""
    b, t = there.shape
    if one.shape != other.shape:
        return None
    if one.dim() == 2 and one.shape[0] == b * t and t > 1:
        one, other = one.unflatten(0, (b, t)), other.unflatten(0, (b, t))
    if one.dim() >= 2 and one.shape[:2] == there.shape and one.shape[0] == b:
        hide = ~there.reshape(b, t, *[1] * (one.dim() - 2))
        return one.masked_fill(hide, 0.0), other.masked_fill(hide, 0.0)
    if one.dim() >= 3 and max(one.shape[1:-1]) >= t:
        return None
    return one.reshape(1, 1, -1), other.reshape(1, 1, -1)


@dataclass(frozen=True, slots=True)
class Told:
    """A stream whose mask reaches the model.

    Attributes:
        stream: The stream.
        shorter: A batch in which the mask hides the outer part of what is there.
        hidden: True at the steps that it hides, [b, t].
        outputs: What the model answers to it.
    """

    stream: Stream
    shorter: Any
    hidden: Tensor
    outputs: Outputs


@instrument
def told(session: Session) -> tuple[Told, ...]:
    """The streams whose mask changes what the model answers; each with a batch that has hidden steps.

    Raises:
        NotApplicable: There is none.
    """
    model = awake(session)
    [batch] = session.batches("train", limit=1)
    marked = [stream for stream in streams(session) if stream.mark is not None]
    if not marked:
        raise NotApplicable("no stream has a mask: none was found, and Claims(masks=...) names none")
    base = answer(session, model, batch)
    found = [one for stream in marked if (one := _told(session, model, batch, base, stream)) is not None]
    if not found:
        names = ", ".join(stream.mark.path for stream in marked if stream.mark)
        raise NotApplicable(f"the masks ({names}) do not reach the model, or it refuses others")
    return tuple(found)


def _told(session: Session, model: nn.Module, batch: Any, base: Outputs, stream: Stream) -> Told | None:
    there = _shorter(stream, stream.there(batch))
    shorter = stream.with_there(batch, there)
    try:
        outputs = answer(session, model, shorter)
        matters = finite(outputs) and change(base, outputs, there) > 0
    except Exception:  # what refuses a mask of another length cannot be told anything by it
        return None
    return Told(stream, shorter, ~there, outputs) if matters else None


def convolves(session: Session) -> bool:
    """Has the model a convolution that reads neighbours? Zeros behind a stream are common there, and rarely masked."""
    layers = [module for module in session.model.modules() if isinstance(module, nn.Conv1d | nn.Conv2d)]
    return any(max(layer.kernel_size) > 1 for layer in layers)


def awake(session: Session, dtype: torch.dtype | None = None) -> nn.Module:
    """A private copy of the model in which nothing is silenced by a zero at its start."""
    model = session.copy_model(dtype)
    wake(model, session.seed)
    return model


def _shorter(stream: Stream, there: Bool[Tensor, "b t"]) -> Bool[Tensor, "b t"]:
    """Half of the steps of each sample, at the side where its content begins; of whole samples, every second one."""
    if stream.of_samples:
        return there & (torch.arange(len(there), device=there.device) % 2 == 0).unsqueeze(1)
    left = bool(there[:, -1].all()) and not bool(there[:, 0].all())
    order = there.flip(1) if left else there
    kept = order & (order.cumsum(1) <= (order.sum(1, keepdim=True) + 1) // 2)
    return kept.flip(1) if left else kept


@dataclass(frozen=True, slots=True)
class Padded:
    """What padding of one stream does: the number of steps appended, and the largest relative change of an output."""

    stream: str
    steps: int
    change: float
    output: str


@instrument
def padding_changes(session: Session) -> tuple[Padded, ...]:
    """The effect of further hidden steps on each stream that the model is told of, in float64.

    Raises:
        NotApplicable: The model takes no stream that is longer, or only its own precision.
    """
    known = [one.stream for one in told(session) if not one.stream.of_samples]
    [batch] = session.batches("train", limit=1)
    batch = nested.to(batch, dtype=torch.float64)
    model = awake(session, torch.float64)
    try:
        base = answer(session, model, batch)
    except (RuntimeError, TypeError) as error:
        raise NotApplicable(f"the model insists on its own precision: {error}") from None
    found = [one for stream in known for steps in STEPS for one in _padded(session, model, base, batch, stream, steps)]
    if not found:
        raise NotApplicable("no stream can be made longer: the model wants this length")
    return tuple(found)


def _padded(session: Session, model: nn.Module, base: Outputs, batch: Any, stream: Stream, steps: int) -> list[Padded]:
    b, t = stream.there(batch).shape
    same = tuple(path for path, leaf in nested.tensors(batch).items() if leaf.shape[:2] == (b, t))
    for also in ((), same):  # streams that are aligned step by step grow together
        longer = stream.longer(batch, steps, session.claims.pad_id, also)
        with suppress(Exception):  # the model wants this length, or these streams to be of one length
            after = answer(session, model, _hidden_too(session, longer, t) if also else longer)
            pairs = {path: _cut_change(base[path], after[path], stream.there(batch)) for path in base if path in after}
            known = {path: value for path, value in pairs.items() if value is not None}
            worst = max(known, key=lambda path: known[path], default="")
            return [Padded(stream.name, steps, known[worst], worst)] if known else []
    return []


def _hidden_too(session: Session, longer: Any, t: int) -> Any:
    """The masks of all streams that grew along say that their new steps are not there."""
    for other in streams(session):
        there = other.there(longer)
        if other.mark is not None and there.shape[1] > t and there[:, t:].any():
            there = there.clone()
            there[:, t:] = False
            longer = other.with_there(longer, there)
    return longer


def _cut_change(before: Tensor, after: Tensor, there: Bool[Tensor, "b t"]) -> float | None:
    """The change of an output whose step axis, if it has one, grew with the stream."""
    if before.dim() == after.dim() and before.shape != after.shape:
        if before.dim() < 2 or before.shape[:2] != there.shape:
            return None
        after = after[:, : before.shape[1]]
    pair = _comparable(before, after, there)
    return float(relative(*pair).max()) if pair is not None and pair[0].numel() else None
