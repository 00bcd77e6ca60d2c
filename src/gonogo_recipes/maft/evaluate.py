"""The metrics of a model over a split: one pass in evaluation mode."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.training import batch as nested
from gonogo.training.session import evaluating
from gonogo_recipes.maft import metrics
from gonogo_recipes.maft.batch import LABEL, SCORE
from gonogo_recipes.maft.losses import compute_loss
from gonogo_recipes.maft.settings import Settings


def evaluate(settings: Settings, model: nn.Module, batches: Iterable[Any]) -> dict[str, float]:
    """The loss and every metric by the id of its definition, over all samples; NaN where one is undefined.

    The model's mode is as it was afterwards, and its weights are not touched.
    """
    losses, *columns = answers(settings, model, batches)
    return {"loss": float(losses.double().mean()), **measured(*columns)}


def measured(classes: Tensor, scores: Tensor, labels: Tensor, truth: Tensor) -> dict[str, float]:
    """Every metric of predicted and true classes and scores, [n] each."""
    found = {**metrics.of_classes(classes, labels), **metrics.of_scores(scores, truth)}
    return {name: math.nan if one.value is None else one.value for name, one in found.items()}


def answers(settings: Settings, model: nn.Module, batches: Iterable[Any]) -> tuple[Tensor, ...]:
    """Columns [n] over all samples: the loss of its batch, predicted class and score, true class and score."""
    device = next(model.parameters()).device
    with evaluating(model), torch.no_grad():
        rows = [_answers(settings, model, nested.to(batch, device)) for batch in batches]
    return tuple(torch.cat(column) for column in zip(*rows, strict=True))


def _answers(settings: Settings, model: nn.Module, batch: Any) -> tuple[Tensor, ...]:
    """Columns [b] on the CPU: the loss of the batch, predicted class and score, true class and score."""
    outputs = model(batch)
    loss, _ = compute_loss(settings, outputs, batch)
    columns = (outputs["logits"].argmax(-1), outputs["regression"].squeeze(-1), batch[LABEL], batch[SCORE])
    return tuple(column.detach().cpu() for column in (loss.expand(len(batch[LABEL])), *columns))
