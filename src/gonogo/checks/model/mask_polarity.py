"""True may mean that a step is there, or that it is padding: both sides of a call must mean the same."""

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.attention.key_masks import hidden_keys
from gonogo.instruments.sequence.isolation import replaced
from gonogo.instruments.streams.answers import answer, awake, change
from gonogo.instruments.streams.masked_fields import MaskedField, masked_fields
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

MOST = 4  # fields


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    explains=("model.nonfinite-values", "model.sanitised", "modality.", "sequence.", "learning.", "model.input-dep"),
    criteria=[
        at_most("inverted", fail=0, source="exact: with the mask turned round, padding is not read; as given it is")
    ],
    since="0.3",
)
def mask_polarity(session: Session) -> Observation:
    """Masks are read as they are meant | A mask is read the wrong way round

    What: takes rows with content and padding, and exchanges the one or the other for other content, in evaluation mode.
        `inverted` counts fields of which padding changes answers about real steps, but does not, while content does,
        once the mask is turned round; and those of which an attention of torch leaves out the content and keeps the
        padding. What is padding is what Claims(masks=...) says, or what is one constant at the ends of rows where a
        mask marks it.
    Why: attention layers of torch mean padding by True, tokenizers content by 1; a mask passed on without turning it
        hides all that is real. The loss still falls a little, on lengths.
    Fix: pass `~mask` (or `mask == 0`) at the boundary that the table names, and say in the signature what True means.
    Shapes: content [b, t] or [b, t, ...], masks [b, t].
    Units: inverted: fields.
    Source: ours, after a published model whose docstring and encoders disagree; answers moved by 0.40.
    """
    fields = list(masked_fields(session))[:MOST]
    if not fields:
        raise NotApplicable("no mask [b, t] marks the padding of any field")
    model = awake(session)
    seen = [(one, _effects(session, model, one)) for one in fields]
    known = [(one, effects) for one, effects in seen if effects is not None]
    if not known:
        raise NotApplicable("the model refuses other content, or answers nothing about real steps")
    hiding = {one.path: _hiding(session, model, one) for one, _ in known}
    wrong = [one for one, effects in known if effects.inverted or hiding[one.path]]
    columns = ("field", "mask", "padding, as given", "padding, turned round", "content, turned round", "hidden from")
    rows = tuple((one.path, ", ".join(one.masks), *effects, hiding[one.path]) for one, effects in known)
    return Observation(
        {"inverted": Measurement(len(wrong), "{field}", n=len(known))},
        (Table("What other content changes", columns, rows),),
    )


class _Effects(NamedTuple):
    padding: float
    padding_turned: float | None = None
    content_turned: float | None = None

    @property
    def inverted(self) -> bool:
        return self.padding > 0 and self.padding_turned == 0 and bool(self.content_turned)


def _effects(session: Session, model: nn.Module, one: MaskedField) -> _Effects | None:
    try:
        given = _change(session, model, one, one.batch, one.padding)
        if not given:
            return _Effects(given)
        turned = nested.map_leaves(lambda path, leaf: _turned(leaf) if path in one.masks else leaf, one.batch)
        return _Effects(given, *(_change(session, model, one, turned, where) for where in (one.padding, ~one.padding)))
    except Exception:  # what refuses a mask or tokens tells nothing
        return None


def _hiding(session: Session, model: nn.Module, one: MaskedField) -> str:
    """The attention layers whose mask of keys leaves out what is content, exactly, and keeps the padding."""
    masks = hidden_keys(session, model, one.batch)
    names = [name for name, mask in masks if mask.shape == one.padding.shape and torch.equal(mask, ~one.padding)]
    return ", ".join(dict.fromkeys(names))


def _change(session: Session, model: nn.Module, one: MaskedField, batch: Any, where: Tensor) -> float:
    """The change of answers about real steps by other content at `where`."""
    stream = nested.tensors(batch)[one.path]
    other = nested.map_leaves(lambda p, leaf: replaced(stream, where, session.seed) if p == one.path else leaf, batch)
    before, after = (answer(session, model, each) for each in (batch, other))
    return change(before, after, ~one.padding)


def _turned(mask: Tensor) -> Tensor:
    return (mask == 0).to(mask.dtype)


@fault(toy="multimodal_attention")
def masks_turned_round(subject: Subject) -> Subject:
    """The model takes True for padding."""

    def change(model: nn.Module) -> nn.Module:
        def hook(_: nn.Module, given: tuple[dict[str, Tensor]]) -> tuple[dict[str, Tensor]]:
            return ({name: ~leaf if name.endswith("_mask") else leaf for name, leaf in given[0].items()},)

        model.register_forward_pre_hook(hook)
        return model

    return subject.map_model(change)


@fault(toy="seq2seq")
def source_mask_turned_round(subject: Subject) -> Subject:
    """The encoder and the decoder take the mask for the contrary."""
    inner = subject._given("predict")

    def predict(model: nn.Module, batch: Any) -> Tensor:
        return inner(model, {**batch, "source_mask": ~batch["source_mask"].bool()})

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(predict(model, batch).flatten(0, 1), batch["labels"].flatten())

    return replace(subject, predict=predict, loss=loss)
