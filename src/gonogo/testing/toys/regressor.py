"""A regressor of one number, with batches that are tuples and splits made by `random_split`."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset, random_split

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.session import evaluating
from gonogo.training.subject import Subject

FEATURES = 8
CONFIG = {"lr": 5e-3, "batch_size": parts.BATCH_SIZE, "hidden": 48, "split_seed": 7}


def regressor() -> Subject:
    """A synthetic smooth function of eight features, standardised, with a little noise."""
    train, valid = _parts()
    return Subject(
        name="toy regressor",
        model=_model,
        loss=_loss,
        optimizer=parts.adamw(CONFIG["lr"]),
        splits={
            "train": lambda: DataLoader(train, parts.BATCH_SIZE, shuffle=True),
            "valid": lambda: DataLoader(valid, parts.BATCH_SIZE),
        },
        predict=_predict,
        evaluate=_evaluate,
        config=CONFIG,
        claims=Claims(parameters=2_833, target=1),
    )


def _parts() -> list[Any]:
    generator = torch.Generator().manual_seed(2)
    x = parts.normal(generator, parts.TRAIN + parts.VALID, FEATURES)
    weights = parts.normal(generator, FEATURES, 2)
    y = torch.sin(x @ weights[:, 0]) + 0.5 * x @ weights[:, 1]
    y = (y - y[: parts.TRAIN].mean()) / y[: parts.TRAIN].std() + 0.05 * parts.normal(generator, len(x))
    again = torch.Generator().manual_seed(int(CONFIG["split_seed"]))
    return random_split(TensorDataset(x, y), [parts.TRAIN, parts.VALID], generator=again)


def _model() -> nn.Module:
    hidden = int(CONFIG["hidden"])
    return nn.Sequential(
        nn.Linear(FEATURES, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1)
    )


def _predict(model: nn.Module, batch: Any) -> Tensor:
    return model(batch[0]).squeeze(-1)


def _loss(model: nn.Module, batch: Any) -> Tensor:
    return functional.mse_loss(_predict(model, batch), batch[1])


def _evaluate(model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
    squares, total = 0.0, 0
    with evaluating(model), torch.no_grad():
        for batch in loader:
            squares += float((_predict(model, batch) - batch[1]).square().sum())
            total += len(batch[1])
    return {"mean_squared_error": squares / total}
