"""What several twins share: small data that can be learned, loaders, and the usual functions of a training program."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split

Program = dict[str, Any]


def blobs(seed: int, n: int = 320, features: int = 12, classes: int = 4, spread: float = 1.0) -> tuple[Tensor, Tensor]:
    """Points around one centre per class: x (n, features), y (n,)."""
    drawn = torch.Generator().manual_seed(1000 + seed)
    y = torch.randint(0, classes, (n,), generator=drawn)
    centres = 1.5 * torch.randn(classes, features, generator=drawn)
    return centres[y] + spread * torch.randn(n, features, generator=drawn), y


def pictures(seed: int, n: int = 240, classes: int = 4, size: int = 10, channels: int = 3) -> tuple[Tensor, Tensor]:
    """Smooth gratings whose direction and colour tell the class: x (n, channels, size, size), y (n,)."""
    drawn = torch.Generator().manual_seed(2000 + seed)
    y = torch.randint(0, classes, (n,), generator=drawn)
    angle = torch.pi * y / classes
    phase = 2 * torch.pi * torch.rand(n, generator=drawn)
    ticks = torch.linspace(0, 3, size)
    along = angle.cos()[:, None, None] * ticks[:, None] + angle.sin()[:, None, None] * ticks
    wave = torch.sin(2.0 * along + phase[:, None, None])
    colour = 1 + 0.5 * torch.randn(classes, channels, generator=drawn)
    x = colour[y][:, :, None, None] * wave[:, None]
    return x + 0.2 * torch.randn(n, channels, size, size, generator=drawn), y


def curve(seed: int, n: int = 320, features: int = 6, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    """A smooth function of a few features: x (n, features), y (n, 1)."""
    drawn = torch.Generator().manual_seed(3000 + seed)
    x = torch.randn(n, features, generator=drawn)
    w = torch.randn(features, 1, generator=drawn)
    return x, torch.tanh(x @ w) + 0.5 * x[:, :1] + noise * torch.randn(n, 1, generator=drawn)


def tokens(seed: int, n: int = 240, length: int = 16, vocab: int = 20, low: int = 3) -> Tensor:
    """Sequences in which a token mostly follows from the one before: (n, length), ids from `low` on.

    No two begin or end alike, so that rows stay different when they are cut.
    """
    drawn = torch.Generator().manual_seed(4000 + seed)
    follow = torch.randperm(vocab - low, generator=drawn)
    rows = [torch.randint(0, vocab - low, (4 * n,), generator=drawn)]
    for _ in range(length - 1):
        other = torch.randint(0, vocab - low, (4 * n,), generator=drawn)
        rows.append(torch.where(torch.rand(4 * n, generator=drawn) < 0.75, follow[rows[-1]], other))
    kept: list[list[int]] = []
    seen: set[tuple[Any, ...]] = set()
    for row in torch.stack(rows, dim=1).tolist():
        ends = {("first", *row[:6]), ("last", *row[-6:])}
        if not seen & ends:
            kept.append(row)
        seen |= ends
    return torch.tensor(kept[:n]) + low


def lengths(seed: int, n: int, low: int, high: int) -> Tensor:
    """A length per sequence: (n,)."""
    return torch.randint(low, high + 1, (n,), generator=torch.Generator().manual_seed(5000 + seed))


def signals(seed: int, n: int = 240, steps: int = 20, features: int = 3, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Noisy waves whose frequency tells the class: x (n, steps, features), y (n,)."""
    drawn = torch.Generator().manual_seed(6000 + seed)
    y = torch.randint(0, classes, (n,), generator=drawn)
    phase = 6.3 * torch.rand(n, 1, 1, generator=drawn) + torch.arange(features) * 0.7
    x = torch.sin(phase + (y[:, None, None] + 1) * 0.35 * torch.arange(steps)[:, None])
    return x + 0.2 * torch.randn(n, steps, features, generator=drawn), y


class Rows(Dataset[Mapping[str, Any]]):
    """Columns of equal length as samples that are dicts."""

    def __init__(self, **columns: Any) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {name: column[index] for name, column in self.columns.items()}


def loaders(*columns: Tensor, seed: int = 0, batch: int = 32, valid: float = 0.25, **more: Any) -> tuple[Any, Any]:
    """A shuffled training loader and a validation loader over a random split of the rows."""
    data = TensorDataset(*columns)
    held = int(valid * len(data))
    train, rest = random_split(data, [len(data) - held, held], torch.Generator().manual_seed(seed))
    return DataLoader(train, batch, shuffle=True, **more), DataLoader(rest, 2 * batch, **more)


def cross_entropy(model: nn.Module, batch: Any) -> Tensor:
    """The loss of a classifier on (inputs, labels)."""
    return F.cross_entropy(model(batch[0]), batch[1])


def squared(model: nn.Module, batch: Any) -> Tensor:
    """The loss of a regressor on (inputs, targets)."""
    return F.mse_loss(model(batch[0]), batch[1])


def stepping(loss: Callable[..., Tensor], clip: float | None = None) -> Callable[..., float]:
    """The textbook step on that loss."""

    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        return value.item()

    return step


def mean_loss(loss: Callable[..., Tensor]) -> Callable[..., dict[str, float]]:
    """An evaluation: the mean of the loss over all samples, each counted once."""

    def evaluate(model: nn.Module, loader: Any) -> dict[str, float]:
        was, total, count = model.training, 0.0, 0
        model.eval()
        with torch.no_grad():
            for batch in loader:
                rows = len(next(iter(batch.values())) if isinstance(batch, Mapping) else batch[0])
                total, count = total + rows * loss(model, batch).item(), count + rows
        model.train(was)
        return {"loss": total / count}

    return evaluate


def accuracy(model: nn.Module, loader: Any) -> dict[str, float]:
    """An evaluation: the share of samples of (inputs, labels) that a classifier gets right."""
    was, right, count = model.training, 0, 0
    model.eval()
    with torch.no_grad():
        for x, y in loader:
            right, count = right + int((model(x).argmax(-1) == y).sum()), count + y.numel()
    model.train(was)
    return {"accuracy": right / count}


def checkpoint(**parts: Any) -> dict[str, Callable[[Path], None]]:
    """`save` and `load` of everything that has a state."""

    def save(path: Path) -> None:
        torch.save({name: part.state_dict() for name, part in parts.items()}, path)

    def load(path: Path) -> None:
        state = torch.load(path, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(state[name])

    return {"save": save, "load": load}


def program(
    model: nn.Module, optimizer: Any, loss: Callable[..., Tensor], data: tuple[Any, Any], **more: Any
) -> Program:
    """The parts of a program in which only `more` is special."""
    return {
        "model": model,
        "optimizer": optimizer,
        "loss": loss,
        "step": stepping(loss),
        "evaluate": mean_loss(loss),
        "train_loader": data[0],
        "valid_loader": data[1],
        **checkpoint(model=model, optimizer=optimizer),
        **more,
    }
