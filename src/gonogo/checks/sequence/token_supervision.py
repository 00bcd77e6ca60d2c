"""Which tokens the loss asks for: some of every sample, the end of a text, and one begin at its start."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_least, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.sequence.supervision import Supervision, agreement, supervised, token_views
from gonogo.training.session import Session
from gonogo.training.subject import Split, Subject


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values", "sequence.label-alignment"),
    criteria=[
        at_most("nan_loss", fail=0, source="ours: a mean over no token is nan and poisons every weight"),
        at_most("unsupervised", warn=0, source="pytorch issue 116349; a sample may have nothing to ask, so a warning"),
        at_least("ends", fail=1, source="Megatron-Bridge issue 4660, trl issue 1623: such a model never stops"),
        at_most("double_begins", fail=0, source="OpenRLHF issue 393: template and tokenizer each add a begin"),
    ],
    since="0.1",
)
def token_supervision(session: Session, *, batches: int = 8) -> Observation:
    """Every sample and every end is supervised | Samples or ends of texts are never supervised

    What: reads off the gradient of the loss which tokens are asked for. `unsupervised`: samples of which no token is;
        `nan_loss`: batches whose loss is no number because of that; `ends`: how often the end token is asked for, if
        the data has it behind supervised text; `double_begins`: rows that start with the begin token twice.
    Why: truncation can cut off the whole answer. Where padding and end share an id, masking the padding masks the end,
        and the model never learns to stop. A doubled begin is a text that inference never shows.
    Fix: truncate the prompt, not the answer; drop samples without supervised tokens; mask labels by the attention mask,
        not by the id of padding; add special tokens in one place.
    Shapes: tokens [b, t], logits with an entry for each position.
    Units: unsupervised, double_begins: rows; nan_loss: times; ends: tokens.
    Source: torchtune issue 949, OLMo-core issue 657; ours.
    """
    seen = _target_stream(session, batches)
    rows = [(i, r, n) for i, one in enumerate(seen) for r, n in enumerate((one.wanted >= 0).sum(1).tolist())]
    empty = [row for row in rows if row[2] == 0]
    measured = {
        "unsupervised": Measurement(len(empty), "{row}", n=len(rows)),
        "nan_loss": Measurement(sum(one.loss != one.loss and _some_empty(one) for one in seen), "{time}", n=len(seen)),
    }
    claims = session.claims
    if claims.eos_id is not None and (ends := _ends(seen, claims.eos_id, claims.pad_id)) is not None:
        measured["ends"] = Measurement(ends, "{token}")
    if claims.bos_id is not None and claims.bos_id not in (claims.pad_id, claims.eos_id):
        measured["double_begins"] = Measurement(sum(_doubled(one.tokens, claims.bos_id) for one in seen), "{row}")
    return Observation(measured, (Table("Samples without supervision", ("batch", "row", "tokens"), tuple(empty)),))


def _target_stream(session: Session, batches: int) -> tuple[Supervision, ...]:
    """Beside the input whose tokens are asked for; of an encoder-decoder that is the decoder's."""
    found = [supervised(session, view=view, batches=batches) for view in token_views(session)]

    def fit(seen: tuple[Supervision, ...]) -> float:
        equal, of = agreement(seen, 1)
        return equal / of if of else 0.0

    best = max(found, key=fit)
    if fit(best) < 0.5 and all(one.loss == one.loss for one in best):
        raise NotApplicable("the loss does not ask for the next tokens of the model's input")
    return best


def _some_empty(one: Supervision) -> bool:
    return bool((one.wanted < 0).all(1).any())


def _ends(seen: tuple[Supervision, ...], end: int, pad: int | None) -> int | None:
    """How often the end is asked for; None where it never stands directly behind a supervised token."""
    asked = sum(int((one.wanted == end).sum()) for one in seen)
    due = 0
    for one in seen:
        t = min(one.tokens.shape[1], one.wanted.shape[1])
        last = one.tokens[:, 2:t] == end  # position k is supervised for token k + 1, so k + 2 is the token behind
        due += int((last & (one.wanted[:, : t - 2] >= 0) & (one.tokens[:, 1 : t - 1] != end)).sum())
    return asked if due >= 3 else None


def _doubled(tokens: Tensor, begin: int) -> int:
    hit = tokens == begin
    first = hit & (hit.cumsum(1) == 1)
    return int((first[:, :-1] & hit[:, 1:]).any(1).sum())


def _each_batch(subject: Subject, change: Any) -> Subject:
    return subject.map_split("train", lambda split: Split(lambda: [change(dict(batch)) for batch in split.batches()]))


@fault(toy="padded_lm")
def end_never_supervised(subject: Subject) -> Subject:
    """Padding and end share an id, and the labels of padding are masked by that id."""

    def change(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        ids = torch.where(batch["input_ids"] == 0, 2, batch["input_ids"])
        return {**batch, "input_ids": ids, "labels": ids.masked_fill(ids == 2, -100)}

    return replace(_each_batch(subject, change), claims=replace(subject.claims, pad_id=2))


@fault(toy="padded_lm")
def begin_doubled(subject: Subject) -> Subject:
    """Every row starts with two begin tokens."""

    def change(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        first = {name: field[:, :1] if name != "labels" else field[:, :1] * 0 - 100 for name, field in batch.items()}
        return {name: torch.cat([first[name], field[:, :-1]], 1) for name, field in batch.items()}

    return _each_batch(subject, change)


@fault(toy="padded_lm")
def answers_cut_off(subject: Subject) -> Subject:
    """Every label is ignored: the loss is nan."""
    return _each_batch(subject, lambda batch: {**batch, "labels": batch["labels"] * 0 - 100})
