"""`gonogo.transformers.Watch().attach(trainer)`: the watch that stays on during a training of transformers.

The Trainer's own log replaces nan by the mean of what was finite (`logging_nan_inf_filter`); this one hears the loss
that is differentiated.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.optim import Optimizer
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from gonogo.watch.live.course import FOLDER, Live
from gonogo.watch.live.detectors import Finding
from gonogo.watch.live.memory import advise
from gonogo.watch.live.post import Receiver
from gonogo.watch.live.settings import settings_of


class Watch(TrainerCallback):
    """Sets `control.should_training_stop` where a finding stops; arguments as those of `gonogo.watch.live.loop.Watch`.

    `Trainer(callbacks=[Watch()])` works too; only `attach` sees the errors of a step, and can answer those of memory.
    """

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

    def attach(self, trainer: Trainer) -> "Watch":
        """Become a callback of the trainer, and see the errors of its steps."""
        trainer.add_callback(self)
        step = trainer.training_step

        @functools.wraps(step)
        def training_step(*given: Any, **named: Any) -> Any:
            try:
                return step(*given, **named)
            except BaseException as error:
                size = trainer.args.per_device_train_batch_size
                advise(error, size, "per_device_train_batch_size", "gradient_accumulation_steps")
                self._close(error)
                raise

        trainer.training_step = training_step
        return self

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Begin where the checkpoint ends."""
        self._close()
        optimizer = _innermost(given.get("optimizer"))
        if isinstance(optimizer, Optimizer):
            self.live = self._make()
            self.live.open(given["model"], [optimizer], state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Stop where all ranks have agreed to."""
        if self.live is not None and self.live.stop is not None:
            control.should_training_stop = True

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """The trainer counts the epochs, across a resume too."""
        if self.live is not None:
            self.live.ears.epochs = round(state.epoch or 0)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Keep the metrics."""
        if self.live is not None:
            self.live.add({name: value for name, value in given.get("metrics", {}).items() if name != "epoch"})

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Write the last line."""
        self._close()

    def _close(self, error: BaseException | None = None) -> None:
        live, self.live = self.live, None
        if live is not None:
            live.close(error)


def _innermost(optimizer: Any) -> Any:
    """The optimizer of torch inside the wrappers of accelerate."""
    while not type(optimizer).__module__.startswith("torch.") and isinstance(
        inside := getattr(optimizer, "optimizer", None), Optimizer
    ):
        optimizer = inside
    return optimizer
