"""What a mask hides must not be seen."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.streams.answers import (
    EXACT,
    Told,
    answer,
    awake,
    change,
    convolves,
    loss,
    padding_changes,
    told,
)
from gonogo.instruments.streams.poisoned import poisoned
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN, C.MODALITY_CLAIM},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    explains=("modality.padding", "modality.combinations", "sequence.padding", "model.batch-mixing"),
    criteria=[
        at_most("read", fail=0, source="exact: the shape stays, so what is not read changes no bit"),
        at_most("poisoned", fail=0, source="exact, and declared: Claims(masks=...) says that anything may stand there"),
        at_most("loss", warn=0, source="exact; a loss may rebuild what is hidden on purpose, so a warning"),
    ],
    since="0.3",
)
def masked_content(session: Session, *, seed: int = 0) -> Observation:
    """What a stream's mask hides is not seen | What a stream's mask hides reaches the answer

    What: hides the outer half of each stream by its mask and puts other content of the same kind there. `read` is the
        largest relative change of an answer about samples or real steps, `loss` that of the loss where no answer
        changed. `poisoned` counts streams with a mask in Claims(masks=...) of which nan, 1e4 or -1e4 at hidden steps,
        and in samples without the stream, reach an answer. Evaluation mode, bit for bit. Streams whose mask does not
        change any answer are left out; where further padding changes nothing either, zeros are read without harm.
    Why: hidden steps hold zeros today, and the normalised mean, the features of a neighbour or nan tomorrow; what
        reads them answers the same sample differently in another batch.
    Fix: replace hidden steps by `torch.where(mask, x, 0)` where they come in (0 * nan is nan), pack recurrent layers,
        give attention its key mask, and divide means by the number of real steps.
    Shapes: streams [b, t, ...] with masks [b, t] or [b].
    Units: read, loss: 1; poisoned: streams.
    Source: ours; measured on right models: 0, on recurrent layers over padding: 8e-3.
    """
    model, seen = awake(session), told(session)
    reads = {one.stream.name: _read(session, model, one, seed) for one in seen}
    declared = [one for one in seen if one.stream.mark and one.stream.mark.declared]
    caught = poisoned(session, model, declared) if declared else {}
    found = {"read": _judged(session, reads)}
    if declared:
        found["poisoned"] = Measurement(len(caught), "{stream}", n=len(declared))
    if not any(reads.values()):
        found["loss"] = Measurement(max(_of_loss(session, model, one, seed) for one in seen))
    names = [one.stream.name for one in seen]
    rows = tuple((name, reads[name], ", ".join(caught.get(name, ())) or "nothing") for name in names)
    columns = ("stream", "change by other content", "poison that reached an answer")
    return Observation(found, (Table("Content at hidden steps", columns, rows),))


def _read(session: Session, model: nn.Module, one: Told, seed: int) -> float:
    other = one.stream.with_other(one.shorter, one.hidden, seed)
    return change(one.outputs, answer(session, model, other), ~one.hidden)


def _of_loss(session: Session, model: nn.Module, one: Told, seed: int) -> float:
    before = loss(session, model, one.shorter)
    after = loss(session, model, one.stream.with_other(one.shorter, one.hidden, seed))
    return abs(after - before) / (abs(before) or 1.0)


def _judged(session: Session, reads: dict[str, float]) -> Measurement:
    """The largest change; of what does no harm, or may do none, it is not certain that it is a fault."""
    try:
        harmed = (
            {one.stream for one in padding_changes(session) if not one.change <= EXACT} if any(reads.values()) else ()
        )
    except NotApplicable:
        return Measurement(max(reads.values()), low=0.0, high=max(reads.values()))
    worst = max((value for name, value in reads.items() if name in harmed), default=0.0)
    return Measurement(worst, low=0.0 if convolves(session) else worst, high=worst)


@fault(toy="multimodal_attention")
def multiplied_by_the_mask(subject: Subject) -> Subject:
    """Hidden steps are multiplied by zero, so that nan stays nan."""

    def change(model: nn.Module) -> nn.Module:
        model._steps = _multiplied.__get__(model)  # type: ignore[assignment]
        return model

    return subject.map_model(change)


def _multiplied(model: Any, index: int, name: str, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    kept = x if x.dim() == 2 else x * there.unsqueeze(-1)
    return model.inputs[name](kept) + model.kinds.weight[index] + model.places[: x.shape[1]]


@fault(toy="multimodal")
def summed_over_hidden_steps(subject: Subject) -> Subject:
    """The mask counts the real steps, and the sum runs over all of them."""

    def change(model: nn.Module) -> nn.Module:
        if not hasattr(model, "_summary"):
            raise NotApplicable("the model does not sum over steps")
        model._summary = _summed.__get__(model)  # type: ignore[assignment]
        return model

    return subject.with_claims(modalities=("audio", "vision", "text")).map_model(change)


def _summed(model: Any, name: str, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return functional.gelu(model.encoders[name](x)).sum(1) / mask.sum(1, keepdim=True)
