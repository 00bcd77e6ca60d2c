"""A stream that arrives may still not count."""

import math
import statistics
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.step.training_steps import cycled
from gonogo.instruments.streams.answers import loss
from gonogo.instruments.streams.fields import Stream, streams
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

WIDE = 3.0  # standard errors
LITTLE = 1e-5  # of the effect of the strongest stream; of a stream that was not learned yet we saw 1e-3


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN, C.MODALITY_CLAIM},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "model.input-dependence"),
    criteria=[at_most("unused", warn=0, source="ours: three standard errors, and 1e-5 of the strongest stream")],
    since="0.3",
)
def use(session: Session, *, steps: int = 60, batches: int = 32) -> Observation:
    """Every stream counts | Some stream hardly counts

    What: takes some optimizer steps, then deals out the steps of one stream at a time anew among the samples of a
        batch, masks as they are, and looks how far the loss rises, in evaluation mode. `unused` counts streams of
        which the whole interval of three standard errors is below 1e-5 of what the strongest one does. The
        table tells which streams move the loss beyond noise; so little training proves nothing against the others.
    Why: a stream whose numbers are a million times too small, or that a gate keeps out, is fusion in name only. An
        ablation at the end of the training would show it; this shows it before.
    Fix: compare the scales of the streams where they meet; normalise each; look at gates and at their initial values.
    Shapes: streams with a row per sample.
    Units: unused: streams; strongest: 1, by which the loss rises.
    Source: permutation importance, L. Breiman 2001, doi:10.1023/A:1010933404324.
    """
    known = streams(session)
    if len(known) < 2:
        raise NotApplicable("fewer than two streams of Claims(modalities=...) are in the batch")
    for batch in cycled(session, steps * max(1, session.claims.accumulation)):
        session.step(nested.clone(batch))
    asked = [batch for batch in session.batches("train", limit=batches) if (nested.size(batch) or 0) > 1]
    if len(asked) < 2:
        raise NotApplicable("streams are exchanged among samples: two batches of two samples or more are needed")
    found = {stream.name: _effect(session, stream, asked) for stream in known}
    strongest = max(found.values(), key=lambda one: one.low)
    if not strongest.low > 0:
        raise NotApplicable(f"inconclusive: after {steps} steps no stream moves the loss beyond noise")
    unused = [name for name, one in found.items() if max(abs(one.low), abs(one.high)) < LITTLE * strongest.low]
    rows = tuple((name, one.mean, one.low, one.high, _said(name, one, unused)) for name, one in found.items())
    columns = ("stream exchanged", "rise of the loss", "low", "high", "moves the loss")
    return Observation(
        {
            "unused": Measurement(len(unused), "{stream}", n=len(asked)),
            "strongest": Measurement(strongest.mean, low=strongest.low, high=strongest.high, n=len(asked)),
        },
        (Table("The loss without each stream", columns, rows),),
    )


class _Effect(NamedTuple):
    mean: float
    low: float
    high: float


def _effect(session: Session, stream: Stream, batches: list[Any]) -> _Effect:
    """The mean rise of the loss over the batches, with an interval."""
    rises = [_rise(session, stream, batch) for batch in batches]
    mean, error = statistics.fmean(rises), statistics.stdev(rises) / math.sqrt(len(rises))
    return _Effect(mean, mean - WIDE * error, mean + WIDE * error)


def _rise(session: Session, stream: Stream, batch: Any) -> float:
    before, after = (loss(session, session.model, one) for one in (batch, _exchanged(stream, batch, session.seed)))
    if not math.isfinite(before) or not math.isfinite(after):
        raise NotApplicable("the loss is not finite after training")
    return after - before


def _exchanged(stream: Stream, batch: Any, seed: int) -> Any:
    """The batch in which the real steps of a stream are dealt out anew; without a mask, samples move as a whole."""
    there, rows = stream.there(batch), nested.size(batch) or 0
    order = torch.randperm(int(there.sum()), generator=torch.Generator().manual_seed(seed)).to(there.device)

    def dealt(path: str, leaf: Any) -> Any:
        if path not in stream.content:
            return leaf
        if stream.mark is None or stream.of_samples:
            return leaf.roll(max(1, rows // 2), 0)
        new = leaf.clone()
        new[there] = leaf[there][order]
        return new

    return nested.map_leaves(dealt, batch)


def _said(name: str, one: _Effect, unused: list[str]) -> str:
    if name in unused:
        return "no"
    return "yes" if one.low > 0 or one.high < 0 else "not beyond noise"


@fault(expect=Status.WARN, toy="multimodal_attention")
def stream_at_another_scale(subject: Subject) -> Subject:
    """The audio is a million times smaller than the other streams, as after a division by the wrong maximum."""

    def change(model: nn.Module) -> nn.Module:
        def hook(_: nn.Module, given: tuple[dict[str, Tensor]]) -> tuple[dict[str, Tensor]]:
            return ({**given[0], "audio": 1e-6 * given[0]["audio"]},)

        model.register_forward_pre_hook(hook)
        return model

    return subject.map_model(change)
