"""Documents that share a row for speed must not read each other."""

import re
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.recorded_call import Probe, recorded
from gonogo.instruments.sequence.isolation import View, output_of, padding_of, relative, response, views
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Split, Subject

_DOCUMENTS = re.compile(r"document|doc_?id|seq_?id|sequence_id", re.IGNORECASE)
_OF_CAUSAL = re.compile(r"segment|position_id|pos_id", re.IGNORECASE)  # of others they are halves of one text


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values", "sequence.causality"),
    criteria=[
        at_most("leak", fail=1e-8, source="float64: isolated documents 0, shared attention 1e-3 or more"),
        at_most("positions", warn=1e-8, source="float64; relative positions may run on, and then nothing changes"),
        at_most("undeclared", warn=1e-8, source="transformers issue 46634; sharing may be the idea, so a warning"),
    ],
    since="0.1",
)
def packing(session: Session) -> Observation:
    """Packed documents are isolated | Packed documents read each other

    What: where a field of the batch numbers the documents of a row (document_ids, or segment_ids and position_ids that
        restart in a causal model), changes the content of one document and looks at the outputs of its neighbour, in
        evaluation mode and float64. `leak` if Claims(packing="isolated") says so, else `undeclared`. With the claim,
        `positions` is what changes when positions that run on through the row restart with each document.
    Why: an attention mask of ones lets the second document read the first, which it never can at inference.
    Fix: pass a mask of equal document numbers, or position ids and cumulative lengths to a kernel that knows them. If
        documents may read what stands before them, nothing needs to be done.
    Shapes: fields [b, t] beside inputs [b, t] or [b, t, f].
    Units: leak, positions, undeclared: 1 (relative to the largest output).
    Source: transformers issue 46634, trl issue 3526, torchtune issue 892.
    """
    claimed = session.claims.packing == "isolated"
    probe = recorded(session)
    candidates = [view for view in views(probe) if (view.rows, view.time) == (0, 1)]
    [batch] = session.batches("train", limit=1)
    rows: list[tuple[str, str, float]] = []
    running: list[float] = []
    for name, field in nested.tensors(batch).items():
        for view in candidates:
            documents = _documents(name, field, probe.streams[view.path], causal=bool(session.claims.causal))
            if documents is not None:
                rows.append((name, view.path, _leak(probe, view, documents)))
                running += _restarted(probe, view, documents)
    if not rows:
        raise NotApplicable("no field numbers several documents in a row")
    worst = max(leak for _, _, leak in rows)
    found = {"leak": Measurement(worst)} if claimed else {"undeclared": Measurement(worst)}
    if claimed and running:
        found["positions"] = Measurement(max(running))
    return Observation(found, (Table("Change in the neighbour", ("documents by", "content", "change"), tuple(rows)),))


def _documents(name: str, field: Tensor, stream: Tensor, *, causal: bool) -> Tensor | None:
    """[b, t]: the number of the document at each position, if the field tells; -1 in padding."""
    wanted = _DOCUMENTS.search(name) or (causal and _OF_CAUSAL.search(name))
    b, t = stream.shape[:2]
    if not wanted or field.dim() != 2 or field.is_floating_point() or field.shape[0] != b or field.shape[1] < t:
        return None
    field = field[:, :t]
    starts = field == 0 if "pos" in name.lower() else field != field.roll(1, 1)
    starts[:, 0] = False
    number = starts.long().cumsum(1).masked_fill(padding_of(stream), -1)
    both = ((number == 0).sum(1) >= 2) & ((number == 1).sum(1) >= 2)
    several = bool(both.any()) and int(number.max()) < t // 2
    return number.masked_fill(~both[:, None], -1) if several else None


def _leak(probe: Probe, view: View, documents: Tensor) -> float:
    worst = 0.0
    for changed, watched in ((0, 1), (1, 0)):
        seen = response(probe, view, documents == changed)
        t = min(seen.shape[1], documents.shape[1])
        worst = max(worst, float(seen[:, :t][documents[:, :t] == watched].max()))
    return worst


def _restarted(probe: Probe, view: View, documents: Tensor) -> list[float]:
    """The change of the second document's outputs when positions that run on through the row restart in it."""
    output, stream, found = output_of(probe, view), probe.streams[view.path], list[float]()
    begins = documents != documents.roll(1, 1)
    begins[:, 0] = True
    for path, places in probe.streams.items():
        if places.shape != documents.shape or places.is_floating_point() or bool((places.diff(dim=1) != 1).any()):
            continue
        anew = places - torch.where(begins, places, places[:, :1]).cummax(1).values
        pair = (probe.outputs[output or ""], probe.replay({path: anew})[output or ""])
        before, after = (view.output(one, stream) for one in pair)
        if before is not None and after is not None and before.shape == after.shape:
            t = before.shape[1]
            found.append(float(relative(before, after)[documents[:, :t] == 1].max()))
    return found


def _one_document(subject: Subject) -> Subject:
    def change(model: nn.Module) -> nn.Module:
        inner: Any = model.forward

        def other(tokens: Tensor, mask: Tensor, positions: Tensor, segments: Tensor) -> Tensor:
            return inner(tokens, mask, positions, torch.ones_like(segments))

        model.forward = other  # type: ignore[method-assign]
        return model

    return subject.map_model(change)


@fault(toy="packed")
def documents_share_a_mask(subject: Subject) -> Subject:
    """The attention mask knows of no documents."""
    return _one_document(subject)


@fault(expect=Status.WARN, toy="packed")
def documents_share_a_mask_undeclared(subject: Subject) -> Subject:
    """The attention mask knows of no documents, and nobody said that it does."""
    return _one_document(subject.with_claims(packing=None))


@fault(expect=Status.WARN, toy="packed")
def positions_run_on(subject: Subject) -> Subject:
    """The positions of the second document go on from those of the first."""

    def change(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        places = torch.arange(batch["input_ids"].shape[1]).expand_as(batch["input_ids"])
        return {**batch, "position_ids": places.clone()}

    def split(given: Split) -> Split:
        return replace(given, batches=lambda: [change(dict(batch)) for batch in given.batches()])

    return subject.map_split("train", split)
