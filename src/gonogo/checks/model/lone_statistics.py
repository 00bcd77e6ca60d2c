"""Batch statistics of one sample are no statistics of the data."""

import contextlib
from dataclasses import replace
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Split, Subject


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    explains=("learning.",),
    criteria=[at_most("alone", warn=0, source="ours: some runs at one sample live with it, so a warning")],
    since="0.2",
)
def lone_statistics(session: Session, *, batches: int = 3) -> Observation:
    """Batch normalisation sees several samples | Batch normalisation sees one sample at a time

    What: runs the loss on some training batches. `alone` counts the layers of batch normalisation in training mode that
        saw a single sample in each of them.
    Why: training normalises by the statistics of the sample itself, evaluation by running ones: two different models.
        What the mean of a sample says is gone in training, and comes back in evaluation.
    Fix: larger batches, SyncBatchNorm, GroupNorm, or frozen statistics (the layers in evaluation mode).
    Shapes: [1, c, ...].
    Units: alone: layers.
    Source: Wu and He, Group Normalization (2018); torch-audit TA304.
    """
    model = session.copy_model()
    sizes: dict[str, list[int]] = {}
    with contextlib.ExitStack() as stack:
        for name, module in model.named_modules():
            if isinstance(module, _BatchNorm) and module.track_running_stats:
                note = _note(sizes.setdefault(name, []))
                stack.callback(module.register_forward_pre_hook(note).remove)
        for batch in session.batches("train", limit=batches) if sizes else ():
            with seeding.seeded(session.seed):
                session.loss(batch, model)
    seen = {name: rows for name, rows in sizes.items() if rows}
    if not seen:
        raise NotApplicable("no batch normalisation with running statistics is in training mode")
    alone = [(name, max(rows)) for name, rows in seen.items() if max(rows) == 1]
    table = Table("Layers that see one sample at a time", ("layer", "rows"), tuple(alone))
    return Observation({"alone": Measurement(len(alone), "{layer}", n=len(seen))}, (table,))


def _note(rows: list[int]) -> Any:
    def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if module.training and inputs:
            rows.append(int(inputs[0].shape[0]))

    return hook


@fault(expect=Status.WARN)
def batches_of_one(subject: Subject) -> Subject:
    """Each batch is one sample, and the output is normalised over the batch."""

    def change(model: nn.Module) -> nn.Module:
        norm = nn.BatchNorm1d(1)
        model.add_module("norm", nn.Sequential(nn.Unflatten(-1, (1, -1)), norm, nn.Flatten(-2)))
        return model

    def first(split: Split) -> Split:
        return replace(split, batches=lambda: [_one(batch) for batch in split.batches()])

    return subject.map_model(change).map_split("train", first)


def _one(batch: Any) -> Any:
    rows = nested.size(batch)
    return nested.take_rows(batch, [0], rows) if rows else batch
