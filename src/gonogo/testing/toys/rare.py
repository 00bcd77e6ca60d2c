"""One positive in sixteen: the bias starts at the log odds of that, and many a batch has no positive at all."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from gonogo.testing.toys import parts
from gonogo.testing.toys import parts_of_rare as rare_class
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

FEATURES, RARE = 8, 16
CONFIG = {"lr": 1e-2, "batch_size": parts.BATCH_SIZE, "prior": 1 / RARE}


def rare() -> Subject:
    """Synthetic points, the rare ones farther out in the last features; nothing is drawn more often than it is."""
    return Subject(
        name="toy detector with a prior",
        model=_model,
        loss=rare_class.loss,
        optimizer=parts.adamw(float(CONFIG["lr"])),
        splits=parts.two_splits(_samples()),
        predict=rare_class.score,
        step=parts.own_step(rare_class.loss),
        evaluate=_evaluate,
        config=CONFIG,
        claims=Claims(parameters=481, target=1),
    )


def _samples() -> list[tuple[Tensor, Tensor]]:
    return rare_class.samples(17, FEATURES, every=RARE, first=4, shift=2.5)


def _model() -> nn.Module:
    prior = float(CONFIG["prior"])
    last = nn.Linear(48, 1)
    nn.init.normal_(last.weight, std=0.05)
    nn.init.constant_(last.bias, math.log(prior / (1 - prior)))
    return nn.Sequential(nn.Linear(FEATURES, 48), nn.Tanh(), last)


def _evaluate(model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
    """Recall and precision, counted over all samples."""
    return rare_class.recall_and_precision(model, loader, lambda scores: scores > 0)
