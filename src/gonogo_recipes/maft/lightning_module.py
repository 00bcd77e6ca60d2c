"""MAFT for Lightning: the same model, loss, optimizer, schedule and order of samples as `gonogo train maft`.

trainer = Trainer(max_epochs=settings.training.epochs, gradient_clip_val=settings.training.max_norm)
trainer.fit(LitMaft(settings), MaftData(settings))
"""

from collections.abc import Mapping
from typing import Any

from lightning import LightningDataModule, LightningModule
from torch import Tensor

from gonogo_recipes.common.fit import Data
from gonogo_recipes.maft.batch import LABEL, SCORE, Batch
from gonogo_recipes.maft.data import datasets
from gonogo_recipes.maft.losses import compute_loss
from gonogo_recipes.maft.model import build_model
from gonogo_recipes.maft.settings import Settings
from gonogo_recipes.maft.train import build_data, held_out, optimizer, schedule


class LitMaft(LightningModule):
    """Model, loss and optimizer; clipping is the Trainer's (gradient_clip_val)."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.model = build_model(settings)
        self.save_hyperparameters(settings.model_dump(mode="json"))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """As Maft.forward."""
        return self.model(batch)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss; its terms are logged."""
        total, terms = compute_loss(self.settings, self(batch), batch)
        self.log_dict(
            {f"train/{name}": term for name, term in {"loss": total, **terms}.items()}, batch_size=_size(batch)
        )
        return total

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss, accuracy and mean absolute error are logged, averaged over samples."""
        outputs = self(batch)
        total, _ = compute_loss(self.settings, outputs, batch)
        hits = (outputs["logits"].argmax(-1) == batch[LABEL]).float().mean()
        error = (outputs["regression"].squeeze(-1) - batch[SCORE]).abs().mean()
        self.log_dict({"valid/loss": total, "valid/accuracy": hits, "valid/mae": error}, batch_size=_size(batch))

    def configure_optimizers(self) -> Any:
        """AdamW, with the schedule stepped once per update."""
        own = optimizer(self.settings, self.model)
        total = int(self.trainer.estimated_stepping_batches)
        return {
            "optimizer": own,
            "lr_scheduler": {"scheduler": schedule(self.settings, own, total), "interval": "step"},
        }


class MaftData(LightningDataModule):
    """The splits; the order of the samples is that of the plain loop, epoch for epoch."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self._splits: Mapping[str, Any] = {}
        self._data: Data | None = None

    def setup(self, stage: str) -> None:
        """Open the splits, once."""
        if self._data is None:
            self._splits = datasets(self.settings.data)
            self._data = build_data(self.settings, self._splits)

    def train_dataloader(self) -> Any:
        """Batches in the order of the epoch that the trainer is in."""
        assert self._data is not None, "setup comes before the loaders"
        self._data.order.go_to(self.trainer.current_epoch if self.trainer else 0, 0)
        return self._data.train

    def val_dataloader(self) -> Any:
        """All of `valid`."""
        return held_out(self.settings, self._splits["valid"])

    def test_dataloader(self) -> Any:
        """All of `test`."""
        return held_out(self.settings, self._splits["test"])


def _size(batch: Batch) -> int:
    return len(batch[LABEL])
