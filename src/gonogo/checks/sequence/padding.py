"""What fills a row up must not change what is said about its real part."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.sequence.cut_rows import Change, attended, changes, padded_targets
from gonogo.instruments.sequence.padding import Padded, padded
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    explains=("sequence.token", "model.batch-mixing"),
    criteria=[
        at_most("attended", fail=1e-6, source="float64: masked padding moves nothing, attended padding 1e-3 or more"),
        at_most("supervised", fail=0, source="ours: a gradient at a padded position asked for padding is a fact"),
        at_most("counted", fail=1e-6, source="exact, in float64: what is masked and not read moves the text behind it"),
        at_most("outputs", warn=1e-6, source="float64; pooling and convolution over padding is common, so a warning"),
        at_most("loss", warn=1e-6, source="float64; sums divided by the padded size are common, so a warning"),
    ],
    since="0.1",
)
def padding(session: Session) -> Observation:
    """Padding changes nothing | Padding changes answers or the loss

    What: takes the training row with the most padding. `attended`: the largest change of its real outputs when the
        embedding of its padding changes, or the features there if the model is told (of models with attention).
        `supervised`: padded positions at which the loss asks for padding. `counted`: what padding in front does to a
        causal model that does not read it, if a mask marks it or rows have several lengths. `outputs` and `loss`: the
        change of both when the padding is cut off. Evaluation mode, float64. Padding behind the text of a causal model
        is rightly not seen by anyone.
    Why: a sample must not be answered differently because a longer one is in its batch; a loss that counts padding
        is mostly a loss of padding, and falls without anything being learned.
    Fix: give the attention a padding mask (check its polarity); set padded labels to ignore_index, or multiply the loss
        by the mask and divide by its sum; pack_padded_sequence for recurrent models; count positions from the first
        real token when padding in front.
    Shapes: tokens [b, t] with Claims(pad_id=...), or tokens or features [b, t, ...] with a mask [b, t] or lengths [b].
    Units: attended, counted, outputs, loss: 1; supervised: positions.
    Source: DeepSpeedExamples issue 819, gpt-neo issue 45; ours.
    """
    fields = padded(session)
    found = [change for one in fields for change in changes(session, one)]
    # Features that cannot be cut off may be zero vectors that change nothing.
    tellable = [one for one in fields if one.token is not None or any(change.output for change in found)]
    reads = {one.path: value for one in tellable if (value := attended(session, one)) is not None}
    moved = list(reads.values())
    counts = [count for one in fields if (count := padded_targets(session, one)) is not None]
    measured: dict[str, Measurement] = {}
    if found:
        measured["outputs"] = Measurement(max(change.outputs for change in found))
        measured["loss"] = Measurement(max(change.loss for change in found))
    if moved:
        # Zero vectors as padding may be read where they change nothing: then cutting them off changes nothing either.
        limit = measured["outputs"].value if found else None
        measured["attended"] = Measurement(max(moved) if limit is None else min(max(moved), limit))
        measured["counted"] = Measurement(max(_counted(session, one, reads, found) for one in fields))
    if counts:
        measured["supervised"] = Measurement(max(counts), "{position}")
    if not measured:
        raise NotApplicable("rows cannot be cut: the model wants this length")
    rows = tuple((change.path, change.output, change.outputs, change.loss) for change in found)
    return Observation(measured, (Table("With and without padding", ("field", "output", "change", "loss"), rows),))


def _counted(session: Session, one: Padded, reads: dict[str, float], found: list[Change]) -> float:
    """The change by padding in front that is masked and that nothing reads: only positions can have counted it."""
    if not (session.claims.causal and one.left and reads.get(one.path, 1.0) <= 1e-6):
        return 0.0
    widths = {nested.tensors(batch)[one.path].shape[1] for batch in session.batches("train", limit=4)}
    if len(widths) == 1 and not one.markers:  # rows of one length may be aligned at their end on purpose
        return 0.0
    return max((change.outputs for change in found if change.path == one.path and change.exact), default=0.0)


@fault(toy="seq2seq")
def padding_attended(subject: Subject) -> Subject:
    """The encoder and the decoder read padding, because the mask is not passed on."""
    inner = subject._given("predict")

    def predict(model: nn.Module, batch: Any) -> Tensor:
        return inner(model, {**batch, "source_mask": batch["source_mask"] | True})

    return replace(subject, predict=predict, loss=lambda model, batch: _entropy(predict(model, batch), batch["labels"]))


@fault(toy="padded_lm")
def padding_in_the_loss(subject: Subject) -> Subject:
    """The labels of padding are not ignored."""
    right: Any = subject.loss
    return replace(subject, loss=lambda model, batch: right(model, {**batch, "labels": batch["input_ids"]}))


def _entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)


@fault(expect=Status.WARN, toy="multimodal")
def padded_steps_in_the_mean(subject: Subject) -> Subject:
    """The mean over time steps counts the padded ones."""

    def change(model: nn.Module) -> nn.Module:
        summary: Any = model._summary
        model._summary = lambda name, x, mask: summary(name, x, mask | True)  # type: ignore[assignment]
        return model

    return subject.map_model(change)


@fault(toy="left_padded")
def positions_count_padding(subject: Subject) -> Subject:
    """Positions count from the first column, where there is padding."""

    def predict(model: nn.Module, batch: Any) -> Tensor:
        ids = batch["input_ids"]
        return model(ids, batch["attention_mask"], torch.arange(ids.shape[1]).expand(*ids.shape))

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return _entropy(predict(model, batch)[:, :-1], batch["labels"][:, 1:])

    return replace(subject, predict=predict, loss=loss)
