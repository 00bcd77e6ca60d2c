"""What the toys with a rare class share: points, one score for each, and what counts as found."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.testing.toys import parts
from gonogo.training.session import evaluating


def samples(seed: int, features: int, *, every: int, first: int, shift: float) -> list[tuple[Tensor, Tensor]]:
    """Points, one in `every` of the rare class, which lies farther out in the features from `first` on."""
    generator = torch.Generator().manual_seed(seed)
    count = parts.TRAIN + parts.VALID
    y = (torch.arange(count) % every == 0).float()[torch.randperm(count, generator=generator)]
    x = parts.normal(generator, count, features)
    x[:, first:] += shift * y.unsqueeze(1)
    return list(zip(x, y, strict=True))


def score(model: nn.Module, batch: Any) -> Tensor:
    """Scores (row,) of the rare class."""
    return model(batch[0]).squeeze(-1)


def loss(model: nn.Module, batch: Any) -> Tensor:
    """Binary cross-entropy of the scores."""
    return functional.binary_cross_entropy_with_logits(score(model, batch), batch[1])


def recall_and_precision(
    model: nn.Module, loader: Iterable[Any], found_by: Callable[[Tensor], Tensor]
) -> Mapping[str, float]:
    """Counted over all samples; `found_by` tells scores of the rare class from others."""
    hits = found = there = 0.0
    with evaluating(model), torch.no_grad():
        for batch in loader:
            guess = found_by(score(model, batch))
            hits += float((guess & (batch[1] == 1)).sum())
            found, there = found + float(guess.sum()), there + float(batch[1].sum())
    return {"recall": hits / max(there, 1.0), "precision": hits / max(found, 1.0)}
