"""Train a convolutional classifier on the 1797 real handwritten digits that come with scikit-learn.

    python examples/digits.py                 trains it, in some seconds on one CPU thread
    gonogo run examples/digits.py:subject     asks first whether it is ready to be trained

Everything above `subject` is an ordinary training script. `subject` hands its parts to gonogo.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, Dataset

from gonogo import Claims, Subject

CLASSES = 10
PARAMETERS = 9_978

Batch = tuple[Tensor, Tensor]  # images [batch, 1, 8, 8], labels [batch]


@dataclass(frozen=True)
class Config:
    epochs: int = 15
    batch_size: int = 64
    lr: float = 3e-3
    weight_decay: float = 1e-2
    seed: int = 0


DEFAULTS = Config()


class Digits(Dataset[tuple[Tensor, Tensor]]):
    """Images scaled to 0..1 and their labels, one sample per index."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images = images
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]


class DigitNet(nn.Module):
    """Two convolutions and a linear head; images [batch, 1, 8, 8] -> logits [batch, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=3, padding=1, bias=False),  # the normalisation that follows has a bias
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(0.25)
        self.head = nn.Linear(32 * 4 * 4, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images).flatten(start_dim=1)
        return self.head(self.dropout(features))


def load_splits() -> tuple[Digits, Digits]:
    """The training and the validation part: 80 % and 20 %, each digit in the same proportion.

    The split does not depend on the seed of the run: runs under two seeds are to be judged on the same images.
    """
    pixels, labels = load_digits(return_X_y=True)  # pixel values 0..16
    images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    labels = torch.tensor(labels)
    train, valid = train_test_split(torch.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    return Digits(images[train], labels[train]), Digits(images[valid], labels[valid])


def train_loader(dataset: Dataset, config: Config = DEFAULTS) -> DataLoader:
    order = torch.Generator().manual_seed(config.seed)
    return DataLoader(dataset, config.batch_size, shuffle=True, generator=order)


def valid_loader(dataset: Dataset, config: Config = DEFAULTS) -> DataLoader:
    return DataLoader(dataset, config.batch_size)


def loss(model: nn.Module, batch: Batch) -> Tensor:
    images, labels = batch
    return nn.functional.cross_entropy(model(images), labels)


def make_optimizer(model: nn.Module, config: Config = DEFAULTS) -> Optimizer:
    return AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)


def make_schedule(optimizer: Optimizer, steps: int) -> CosineAnnealingLR:
    """From the full learning rate down to zero, one step per batch."""
    return CosineAnnealingLR(optimizer, T_max=steps)


@torch.no_grad()
def evaluate(model: nn.Module, loader: Iterable[Batch]) -> dict[str, float]:
    """Mean loss and accuracy; the model comes back in the mode it was in."""
    was_training = model.training
    model.eval()
    total_loss, correct, count = 0.0, 0, 0
    for images, labels in loader:
        logits = model(images)
        total_loss += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
        correct += (logits.argmax(dim=1) == labels).sum().item()
        count += len(labels)
    model.train(was_training)
    return {"loss": total_loss / count, "accuracy": correct / count}


def save(path: Path, model: nn.Module, optimizer: Optimizer) -> None:
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)


def load(path: Path, model: nn.Module, optimizer: Optimizer) -> None:
    checkpoint = torch.load(path, weights_only=True)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])


def train(config: Config = DEFAULTS) -> nn.Module:
    torch.manual_seed(config.seed)
    train_part, valid_part = load_splits()
    train_batches, valid_batches = train_loader(train_part, config), valid_loader(valid_part, config)
    model = DigitNet()
    optimizer = make_optimizer(model, config)
    schedule = make_schedule(optimizer, steps=config.epochs * len(train_batches))
    for epoch in range(1, config.epochs + 1):
        for batch in train_batches:
            optimizer.zero_grad()
            loss(model, batch).backward()
            optimizer.step()
            schedule.step()
        metrics = evaluate(model, valid_batches)
        print(f"epoch {epoch:2d}   valid loss {metrics['loss']:.4f}   valid accuracy {metrics['accuracy']:.2%}")
    return model


def subject(*, lr: float = DEFAULTS.lr, seed: int = DEFAULTS.seed) -> Subject:
    """The run above, part by part, for gonogo to measure."""
    config = Config(lr=lr, seed=seed)
    train_part, valid_part = load_splits()
    steps = config.epochs * len(train_loader(train_part, config))
    return Subject(
        name="digits",
        model=DigitNet,
        loss=loss,
        optimizer=partial(make_optimizer, config=config),
        splits={
            "train": partial(train_loader, train_part, config),
            "valid": partial(valid_loader, valid_part, config),
        },
        evaluate=evaluate,
        schedule=partial(make_schedule, steps=steps),
        save=save,
        load=load,
        config=asdict(config),
        claims=Claims(classes=CLASSES, parameters=PARAMETERS),
    )


if __name__ == "__main__":
    train()
