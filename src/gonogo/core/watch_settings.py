"""What a watch during training looks for, and what it does when it finds it: the part `watch:` of a profile."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Reaction = Literal["stop", "alert", "log", "off"]
Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0)]


class WatchSettings(BaseModel):
    """Reactions, limits, and where things go. Only `nan` stops by default: the rest are statistics."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    nan: Reaction = "stop"  # the optimizer stepped with gradients that are not finite
    nan_batch: Reaction = "alert"  # a loss was not finite, but no gradient that was looked at
    no_fall: Reaction = "alert"
    divergence: Reaction = "alert"
    spike: Reaction = "log"
    dead_loader: Reaction = "alert"
    data_wait: Reaction = "log"
    memory: Reaction = "alert"
    collapse: Reaction = "alert"
    learning_rate: Reaction = "alert"

    every: Count = 10  # steps between two looks; the first ten steps are looked at one by one
    no_fall_epochs: Count = 5
    no_fall_steps: Count = 2000  # where epochs are longer than that
    loader_seconds: Positive = 600.0  # without a batch
    gates: tuple[str, ...] = ()  # names of modules whose output is a gate or shares of streams
    trackers: tuple[Literal["mlflow", "wandb", "tensorboard"], ...] = ()
    webhook: str | None = Field(default=None, pattern=r"^https?://\S+$", repr=False)
    log_bytes: Count = 5_000_000  # of one file
    log_files: Count = 5
