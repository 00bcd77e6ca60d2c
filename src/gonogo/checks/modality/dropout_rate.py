"""Modality dropout does what its name and number say."""

from typing import Any

import torch
from torch import Tensor, nn

from gonogo.audit.intervals import wilson
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.streams.drops import Drops, declared, drops, raised
from gonogo.training.session import Session
from gonogo.training.subject import Subject

BAND = 3.2905  # standard deviations of 99.9 %
CHANCE = 0.02  # of draws: dropout of single units silences a narrow stream now and then
OFTEN = 0.5  # so that what happens once in a thousand samples is seen in a hundred


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN, C.MODALITY_CLAIM},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    explains=("evaluation.",),
    criteria=[
        at_most("in_evaluation", fail=0, source="exact: two copies of a sample, one of which lost a stream"),
        at_most("all_dropped", fail=0, source="exact: an answer that no stream changes is learned from nothing"),
        at_most("all_lost", warn=0, source="as all_dropped; without a declared rate it may be meant"),
        at_most("rate_error", warn=0, source="binomial band of 99.9 % around what was seen, by E. B. Wilson 1927"),
    ],
    since="0.3",
)
def dropout_rate(session: Session) -> Observation:
    """Modality dropout is as declared | Modality dropout is not what is declared

    What: finds dropped streams by exchange of content under one seed, in thousands of copies of a few samples that
        have every stream. `all_dropped` counts samples that lost all (`all_lost` where no rate is declared), also at a
        rate of one half where the model or its configuration can be set to that; `in_evaluation` counts streams dropped
        in evaluation mode. `rate_error` is how far the interval of a stream's rate is from the declared one: from p, or
        p less what a rule against losing all takes from it; or a share p of samples that lose any. The rate is looked
        for in the configuration, else in the model: a number with modality and drop in its name.
    Why: dropped independently, all three go at once with p^3: 4 % of samples at 0.35 teach the model noise. A rate that
        a schedule overwrites is not the one in the paper.
    Fix: draw a non-empty subset of the streams that are there; look at `self.training`, and at who writes the rate.
    Shapes: samples on the first axis; an answer that depends on every stream.
    Units: in_evaluation: streams; all_dropped, all_lost: samples; rate_error: 1.
    Source: ours; measured on a published training script: 0.10 % of samples lose all at 0.1, 4.35 % at 0.35.
    """
    seen, said = drops(session), declared(session)
    partly = seen.dropped.any(1) & ~seen.dropped.all(1)
    if not seen.evaluated.any() and float(partly.float().mean()) < CHANCE and not (said and said[1]):
        raise NotApplicable("no stream of any sample is dropped, and no rate of modality dropout is declared")
    lost = _lost(seen)
    often = raised(session, OFTEN) if said and said[1] else None
    lost += _lost(often) if often else 0
    found = {"all_dropped" if said else "all_lost": Measurement(lost, "{sample}", n=len(seen.dropped))}
    if not session.claims.stochastic:
        found["in_evaluation"] = Measurement(int(seen.evaluated.any(0).sum()), "{stream}")
    if said:
        found["rate_error"] = Measurement(_error(seen, said[1]), n=len(seen.dropped))
    rows = tuple((name, *_interval(seen.dropped[:, at])) for at, name in enumerate(seen.streams))
    title = f"Streams dropped in training ({said[0]} says {said[1]:g})" if said else "Streams dropped in training"
    columns = ("stream", "share of draws", "low", "high", "draws")
    return Observation(found, (Table(title, columns, rows),))


def _lost(seen: Drops) -> int:
    return int(seen.dropped.all(1).sum())


def _interval(drawn: Tensor) -> tuple[float, float, float, int]:
    hits, n = int(drawn.sum()), len(drawn)
    return (hits / n, *wilson(hits, n, BAND), n)


def _error(seen: Drops, rate: float) -> float:
    """How far the worst stream is from any meaning of the rate."""
    _, low, high, _ = _interval(seen.dropped.any(1))
    if low <= rate <= high:
        return 0.0
    least = rate - rate ** len(seen.streams)  # what a rule against losing all may leave of it
    # A stream that is never dropped may be spared on purpose, as long as another one is not.
    at_all = seen.dropped.any(0).nonzero().flatten().tolist() or range(len(seen.streams))
    bounds = [_interval(seen.dropped[:, at])[1:3] for at in at_all]
    return max(max(0.0, low - rate, least - high) for low, high in bounds)


def _with_draw(subject: Subject, draw: Any) -> Subject:
    def change(model: nn.Module) -> nn.Module:
        model._dropped = draw.__get__(model)  # type: ignore[assignment]
        return model

    return subject.map_model(change)


@fault(toy="multimodal_attention")
def dropped_independently(subject: Subject) -> Subject:
    """Each stream is dropped whatever becomes of the others."""

    def draw(model: Any, there: dict[str, Tensor]) -> dict[str, Tensor]:
        rate = model.modality_dropout if model.training else 0.0
        return {name: one & (torch.rand(len(one), 1) >= rate) for name, one in there.items()}

    return _with_draw(subject, draw)


@fault(toy="multimodal_attention")
def dropped_in_evaluation(subject: Subject) -> Subject:
    """Streams are dropped in evaluation mode as well."""

    def draw(model: Any, there: dict[str, Tensor]) -> dict[str, Tensor]:
        spared = torch.randint(len(there), (len(there["text"]), 1))
        kept = [(torch.rand(len(spared), 1) >= 0.2) | (spared == at) for at in range(len(there))]
        return {name: one & keep for (name, one), keep in zip(there.items(), kept, strict=True)}

    return _with_draw(subject, draw)


@fault(expect=Status.WARN, toy="multimodal_attention")
def rate_overwritten(subject: Subject) -> Subject:
    """A schedule writes another rate over the one of the configuration."""

    def change(model: nn.Module) -> nn.Module:
        model.modality_dropout = 0.05  # type: ignore[assignment]
        return model

    return subject.map_model(change)
