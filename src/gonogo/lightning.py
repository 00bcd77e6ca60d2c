"""`Trainer(callbacks=[gonogo.lightning.Watch()])`: the watch that stays on during a Lightning training."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from gonogo.watch.live.course import FOLDER, Live
from gonogo.watch.live.detectors import Finding
from gonogo.watch.live.memory import advise
from gonogo.watch.live.post import Receiver
from gonogo.watch.live.settings import settings_of

OURS = ("loss", "learning_rate")  # values of a look; what the module logs under these names is smoothed


class Watch(Callback):
    """Sets `trainer.should_stop` where a finding stops; arguments as those of `gonogo.watch.live.loop.Watch`."""

    def __init__(
        self,
        profile: str | Mapping[str, Any] | None = None,
        *,
        folder: str | Path = FOLDER,
        sinks: Sequence[Receiver] = (),
        on_alert: Callable[[Finding], Any] | None = None,
        **changes: Any,
    ) -> None:
        self.settings = settings_of(profile, changes)
        self._make = lambda: Live(self.settings, Path(folder), sinks, on_alert)
        self.live: Live | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin where the checkpoint ends; `global_step` counts the steps of all optimizers."""
        self._close()
        if trainer.optimizers:
            self.live = self._make()
            self.live.open(pl_module, trainer.optimizers, trainer.global_step // len(trainer.optimizers))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop where all ranks have agreed to."""
        if self.live is not None and self.live.stop is not None:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning counts its batches, so no loader comes to its end."""
        if self.live is not None:
            self.live.ears.epochs = trainer.current_epoch + 1

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep what the module logged."""
        if self.live is not None and not trainer.sanity_checking:
            self.live.add({name: value for name, value in trainer.callback_metrics.items() if name not in OURS})

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the last line."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Say what to try where memory ran out; the exception goes on its way."""
        if self.live is not None:
            advise(exception, self.live.ears.batch_size, accumulation="accumulate_grad_batches")
        self._close(exception)

    def _close(self, error: BaseException | None = None) -> None:
        live, self.live = self.live, None
        if live is not None:
            live.close(error)
