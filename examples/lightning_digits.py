"""The digits of scikit-learn with Lightning: gonogo takes the module and its data as they are.

    python examples/lightning_digits.py              trains it
    gonogo run examples/lightning_digits.py:run      asks first whether it is ready to be trained

Nothing in this file knows gonogo.
"""

import lightning.pytorch as pl
import torch
import torchmetrics
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 10


class DigitClassifier(pl.LightningModule):
    """Two convolutions and a linear head."""

    def __init__(self, channels: int = 16, lr: float = 3e-3) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(32 * channels, 10),
        )
        self.accuracy = torchmetrics.Accuracy("multiclass", num_classes=10)

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        loss = functional.cross_entropy(self(images), labels)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch
        logits = self(images)
        self.accuracy(logits, labels)
        self.log("valid_loss", functional.cross_entropy(logits, labels))
        self.log("valid_accuracy", self.accuracy)

    def configure_optimizers(self) -> dict[str, object]:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.hparams["lr"])
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.hparams["lr"], total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Digits(pl.LightningDataModule):
    """1797 real images of 8 x 8 pixels, a fifth of them held out."""

    def __init__(self, batch_size: int = 64) -> None:
        super().__init__()
        self.batch_size = batch_size

    def setup(self, stage: str) -> None:
        images, labels = load_digits(return_X_y=True)
        parts = train_test_split(images / 16, labels, test_size=0.2, random_state=0, stratify=labels)
        train_x, valid_x = (torch.tensor(part, dtype=torch.float32).view(-1, 1, 8, 8) for part in parts[:2])
        train_y, valid_y = (torch.tensor(part) for part in parts[2:])
        self.train, self.valid = TensorDataset(train_x, train_y), TensorDataset(valid_x, valid_y)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.valid, self.batch_size)


def trainer() -> pl.Trainer:
    return pl.Trainer(
        max_epochs=EPOCHS, gradient_clip_val=1.0, accelerator="cpu", logger=False, enable_checkpointing=False
    )


def run() -> dict[str, object]:
    """What is to be trained together."""
    return {"module": DigitClassifier(), "datamodule": Digits(), "trainer": trainer()}


if __name__ == "__main__":
    pl.seed_everything(0)
    parts = run()
    parts["trainer"].fit(parts["module"], parts["datamodule"])  # type: ignore[attr-defined]
