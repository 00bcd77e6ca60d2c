"""A regressor fed by a stream: an iterable data set without length, split among workers, in an order of its own."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

FEATURES = 7
CONFIG = {"lr": 5e-3, "batch_size": parts.BATCH_SIZE, "hidden": 48}


class Stream(IterableDataset[Any]):
    """Samples one after the other, in another order in each epoch; each worker gives its share."""

    def __init__(self, samples: list[Any], shuffle: bool) -> None:
        self.samples, self.shuffle, self.epoch = samples, shuffle, 0

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        generator = torch.Generator().manual_seed(self.epoch)
        self.epoch += 1
        count = len(self.samples)
        order = torch.randperm(count, generator=generator).tolist() if self.shuffle else list(range(count))
        return (self.samples[place] for place in order[first::step])


def stream() -> Subject:
    """A synthetic smooth function; evaluation leaves the model in evaluation mode, and the step switches back."""
    samples = _samples()
    train, valid = samples[: parts.TRAIN], samples[parts.TRAIN :]
    return Subject(
        name="toy stream",
        model=_model,
        loss=_loss,
        optimizer=parts.adamw(float(CONFIG["lr"])),
        splits={
            "train": lambda: DataLoader(Stream(train, shuffle=True), parts.BATCH_SIZE),
            "valid": lambda: DataLoader(Stream(valid, shuffle=False), parts.BATCH_SIZE),
        },
        predict=_predict,
        step=_step,
        evaluate=_evaluate,
        config=CONFIG,
        claims=Claims(parameters=2_881, target="target"),
    )


def _samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(11)
    x = parts.normal(generator, parts.TRAIN + parts.VALID, FEATURES)
    weights = parts.normal(generator, FEATURES, 2)
    y = torch.sin(x @ weights[:, 0]) + 0.3 * x @ weights[:, 1]
    return [{"x": row, "target": number} for row, number in zip(x, y / y.std(), strict=True)]


def _model() -> nn.Module:
    hidden = int(CONFIG["hidden"])
    layers = [nn.Linear(FEATURES, hidden), nn.BatchNorm1d(hidden), nn.SiLU(), nn.Dropout(0.05)]
    return nn.Sequential(*layers, nn.Linear(hidden, hidden), nn.Dropout(0.05), nn.SiLU(), nn.Linear(hidden, 1))


def _predict(model: nn.Module, batch: Any) -> Tensor:
    return model(batch["x"]).squeeze(-1)


def _loss(model: nn.Module, batch: Any) -> Tensor:
    return functional.mse_loss(_predict(model, batch), batch["target"])


def _step(model: nn.Module, optimizer: Any, batch: Any) -> float:
    model.train()
    optimizer.zero_grad()
    loss = _loss(model, batch)
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def _evaluate(model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
    model.eval()
    with torch.no_grad():
        errors = [(_predict(model, batch) - batch["target"]).abs() for batch in loader]
    return {"mean_absolute_error": float(torch.cat(errors).mean())}
