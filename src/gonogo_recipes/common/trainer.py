"""One training run: model, optimizer, schedule and best weights, with the step, the validation and the checkpoint.

The subject of a recipe is made of these same functions, so that what gonogo measures is what trains.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gonogo_recipes.common import checkpoint

Loss = Callable[[nn.Module, Any], tuple[Tensor, Mapping[str, Tensor]]]
Metrics = Callable[[nn.Module, Iterable[Any]], Mapping[str, float]]


@dataclass
class Best:
    """The weights of the best validation so far; copies, which training does not move."""

    value: float = float("inf")
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Trainer:
    """The live parts of a run.

    Attributes:
        loss: (model, batch) -> the scalar that is minimised, and its terms by name.
        metrics: (model, batches) -> metrics, in evaluation mode; it must restore the mode of each module.
        watched: The metric whose lowest value is the best; a NaN is never the best.
        max_norm: The norm to which gradients are clipped.
        identity: What a checkpoint must agree in to be of the same run.
    """

    model: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler
    loss: Loss
    metrics: Metrics
    watched: str
    max_norm: float
    identity: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 0
    best: Best = field(default_factory=Best)
    last: dict[str, float] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    @property
    def is_finite(self) -> bool:
        """Can training go on from the last update?"""
        return math.isfinite(self.last["loss"]) and math.isfinite(self.last["gradient_norm"])

    def step(self, model: nn.Module, optimizer: Optimizer, batch: Any) -> float:
        """One update in training mode; the loss before it. `last` then has its terms and the norm before clipping."""
        model.train()
        rate = float(optimizer.param_groups[0]["lr"])
        optimizer.zero_grad(set_to_none=True)
        total, terms = self.loss(model, batch)
        total.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), self.max_norm)
        optimizer.step()
        self.scheduler.step()
        self.steps += 1
        named = {"loss": total, **terms, "gradient_norm": norm}
        self.last = {"lr": rate} | {name: float(value.detach()) for name, value in named.items()}
        return self.last["loss"]

    def validate(self, model: nn.Module, batches: Iterable[Any]) -> Mapping[str, float]:
        """The metrics; the weights are kept if they are the best so far."""
        found = dict(self.metrics(model, batches))
        value = found[self.watched]
        if value < self.best.value:
            weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
            self.best = Best(value, self.steps, found, weights)
        return found

    def best_weights(self) -> Mapping[str, Tensor]:
        """The best weights; those of the last step where no validation gave a number."""
        return self.best.weights or self.model.state_dict()

    def save(self, path: Path) -> None:
        """Everything that the next step depends on, in one file."""
        content = {
            "identity": dict(self.identity),
            "steps": self.steps,
            "threads": torch.get_num_threads(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "best": vars(self.best),
            "generators": checkpoint.generators(),
        }
        checkpoint.write(path, content)

    def load(self, path: Path) -> None:
        """Go on where `save` was called, generators included."""
        self.restore(checkpoint.read(path, self.device))

    def restore(self, content: Mapping[str, Any]) -> None:
        """Take over what a checkpoint holds."""
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.scheduler.load_state_dict(content["scheduler"])
        self.steps, self.best = content["steps"], Best(**content["best"])
        checkpoint.restore_generators(content["generators"])

    def parts(self) -> dict[str, Any]:
        """What `gonogo.adapters.plain.from_parts` asks for, of these live parts."""
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "loss": lambda model, batch: self.loss(model, batch)[0],
            "step": self.step,
            "evaluate": self.validate,
            "best": lambda: self.best.weights or None,
            "save": self.save,
            "load": self.load,
        }
