"""One positive in sixteen: the bias starts at the log odds of that, and many a batch has no positive at all."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.session import evaluating
from gonogo.training.subject import Subject

FEATURES, RARE = 8, 16
CONFIG = {"lr": 1e-2, "batch_size": parts.BATCH_SIZE, "prior": 1 / RARE}


def rare() -> Subject:
    """Synthetic points, the rare ones farther out in the last features; nothing is drawn more often than it is."""
    return Subject(
        name="toy detector with a prior",
        model=_model,
        loss=_loss,
        optimizer=parts.adamw(float(CONFIG["lr"])),
        splits=parts.two_splits(_samples()),
        predict=_predict,
        step=parts.own_step(_loss),
        evaluate=_evaluate,
        config=CONFIG,
        claims=Claims(parameters=481, target=1),
    )


def _samples() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(17)
    count = parts.TRAIN + parts.VALID
    y = (torch.arange(count) % RARE == 0).float()[torch.randperm(count, generator=generator)]
    x = parts.normal(generator, count, FEATURES)
    x[:, 4:] += 2.5 * y.unsqueeze(1)
    return list(zip(x, y, strict=True))


def _model() -> nn.Module:
    prior = float(CONFIG["prior"])
    last = nn.Linear(48, 1)
    nn.init.normal_(last.weight, std=0.05)
    nn.init.constant_(last.bias, math.log(prior / (1 - prior)))
    return nn.Sequential(nn.Linear(FEATURES, 48), nn.Tanh(), last)


def _predict(model: nn.Module, batch: Any) -> Tensor:
    return model(batch[0]).squeeze(-1)


def _loss(model: nn.Module, batch: Any) -> Tensor:
    return functional.binary_cross_entropy_with_logits(_predict(model, batch), batch[1])


def _evaluate(model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
    """Recall and precision, counted over all samples."""
    hits = found = there = 0.0
    with evaluating(model), torch.no_grad():
        for batch in loader:
            guess = _predict(model, batch) > 0
            hits += float((guess & (batch[1] == 1)).sum())
            found, there = found + float(guess.sum()), there + float(batch[1].sum())
    return {"recall": hits / max(there, 1.0), "precision": hits / max(found, 1.0)}
