"""The longest sequences of the data fit the model, and their order counts."""

import itertools
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_least, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.recorded_call import Probe, recorded
from gonogo.instruments.sequence.isolation import View, output_of, padding_of, reaches, relative, views
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Split, Subject


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("too_long", fail=0, source="ours: a batch on which the model cannot run ends the training"),
        at_least("order", warn=1e-9, source="ours: sets have no order, so only causal models are asked, and warned"),
    ],
    since="0.1",
)
def position_table(session: Session, *, batches: int = 128) -> Observation:
    """The longest sequences fit and their order counts | Sequences do not fit, or their order is ignored

    What: looks through the training batches for the longest and runs the loss on it: `too_long` is 1 if the model
        cannot. In a causal model, `order` is the change of later outputs when earlier tokens change places.
    Why: a position table that is shorter than the longest sample crashes hours into the run, when that sample comes.
        A model without positions in one layer reads a bag of words.
    Fix: make the table as long as the data allow, or crop the data; add positions (learned, sinusoidal or rotary) and
        check that they reach the attention.
    Shapes: batches with fields [b, t, ...] of different t.
    Units: too_long: batches; order: 1 (relative to the largest output).
    Source: ours; a project of ours with a rope_theta that nothing read.
    """
    probe = recorded(session)
    found = [view for view in views(probe) if (view.rows, view.time) == (0, 1)]
    if not found:
        raise NotApplicable("no output of the model has the positions of an input")
    usual, longest, batch = _longest(session, batches)
    error = _error(session, batch) if longest > usual else ""
    measured = {"too_long": Measurement(int(bool(error)), "{time}")}
    tied = [reach.view for reach in reaches(session) if reach.past and reach.view in found]
    orders = [change for view in tied if (change := _order(session, probe, view)) is not None]
    if session.claims.causal and orders:
        measured["order"] = Measurement(max(orders))
    table = Table("Longest sequences", ("length", "of the first batch", "error"), ((longest, usual, error),))
    return Observation(measured, (table,))


def _longest(session: Session, limit: int) -> tuple[int, int, Any]:
    """(length of the first batch, of the longest, the longest batch), as far as time allows."""
    best: tuple[int, Any] = (-1, None)
    usual, stop = -1, session.seconds_left / 2
    with seeding.seeded(session.seed):
        for batch in itertools.islice(session.loader("train"), limit):
            length = max((leaf.shape[1] for leaf in nested.tensors(batch).values() if leaf.dim() in (2, 3)), default=0)
            usual = length if usual < 0 else usual
            if length > best[0]:
                best = length, nested.clone(batch)
            if session.seconds_left < stop:
                break
    return usual, best[0], nested.to(best[1], session.device)


def _error(session: Session, batch: Any) -> str:
    try:
        with torch.no_grad(), evaluating(session.copy_model()) as model, seeding.seeded(session.seed):
            session.loss(batch, model)
    except torch.OutOfMemoryError:
        raise
    except (IndexError, RuntimeError, ValueError, AssertionError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return ""


def _order(session: Session, probe: Probe, view: View) -> float | None:
    """The change of the last outputs when the tokens of the first half stand in reverse."""
    stream, path = probe.streams[view.path], output_of(probe, view)
    half = stream.shape[1] // 2
    rows = ~padding_of(stream, session.claims.pad_id)[:, :half].any(1)
    turned = torch.cat([stream[:, :half].flip(1), stream[:, half:]], 1)
    if path is None or half < 2 or not bool((turned != stream)[rows].any()):
        return None
    before, after = (view.output(out[path], stream) for out in (probe.outputs, probe.replay({view.path: turned})))
    if before is None or after is None or before.shape != after.shape:
        return None
    change = relative(before, after)[rows][:, half:]
    return float(change.max()) if change.numel() else None


@fault(toy="causal_lm")
def table_too_short(subject: Subject) -> Subject:
    """Some batches are longer than the position table."""

    def longer(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: torch.cat([field, field], 1) for name, field in batch.items()}

    def change(split: Split) -> Split:
        return replace(split, batches=lambda: [b if i != 5 else longer(b) for i, b in enumerate(split.batches())])

    return subject.map_split("train", change)


class _Nowhere(nn.Module):
    def forward(self, places: Tensor) -> Tensor:
        return torch.zeros(len(places), 1)


@fault(expect=Status.WARN, toy="causal_lm")
def no_positions(subject: Subject) -> Subject:
    """Nothing is added for the position."""

    def change(model: nn.Module) -> nn.Module:
        model.position = _Nowhere()
        return model

    return subject.map_model(change)
