"""A transformers.Trainer -> the dict of its live parts.

Its own compute_loss, training_step, collator, optimizer, scheduler, clipping and evaluation_loop run; the loop around
them is ours, so callbacks stay silent. Nothing here imports transformers before it has seen one of its objects.
"""

import contextlib
import copy
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gonogo.errors import SubjectError, did_you_mean
from gonogo.training.session import evaluating

# Of the hundred training arguments these shape what is learned; the others are about the machine and the log.
_SETTINGS = (
    "learning_rate",
    "weight_decay",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "max_grad_norm",
    "num_train_epochs",
    "max_steps",
    "lr_scheduler_type",
    "warmup_steps",
    "warmup_ratio",
    "label_smoothing_factor",
    "optim",
    "seed",
)

_UNKNOWN = 1000  # updates that a schedule is made for where the length of the run is not known


def accepts(built: Any) -> bool:
    """Is it a Trainer, or a dict that holds one and no loss?"""
    return _trainer(built) is not None


def fresh(built: Any) -> Any:
    """A Trainer like a live one, with a model of its own and nothing trained since."""
    live = _trainer(built)
    made = copy.copy(live)  # subclasses keep what only their __init__ was given: a teacher, weights of classes
    if live.model_init is not None:
        made.model, made.optimizer, made.lr_scheduler = live.call_model_init(), None, None
    else:
        own = copy.deepcopy((live.model, live.optimizer, live.lr_scheduler))
        made.model, made.optimizer, made.lr_scheduler = own
    vars(made).update(_of_copy(_holders(live, live.model), live.model, made.model))
    made.model_wrapped = made.model
    return made if built is live else {**built, **{name: made for name, part in built.items() if part is live}}


def parts(built: Any, text: str) -> dict[str, Any]:
    """What `adapters.plain` takes, from one live Trainer.

    Raises:
        SubjectError: It has no training data.
    """
    trainer = _trainer(built)
    if trainer.train_dataset is None:
        raise SubjectError(f"{text}() returned a Trainer without train_dataset; give it one")
    settings = _settings(trainer)
    run = _Run(trainer)
    found: dict[str, Any] = {
        "model": trainer.model,
        "loss": run.loss,
        "step": run.step,
        "optimizer": run.optimizer,
        "scheduler": run.schedule,
        "train_loader": run.train_loader,
        "config": settings,
        "claims": {**_claims(trainer), "total_steps": run.planned},
        "save": run.save,
        "load": run.load,
    }
    if trainer.eval_dataset is not None:
        held_out = trainer.eval_dataset
        first = next(iter(held_out)) if isinstance(held_out, dict) else None
        found["valid_loader"] = trainer.get_eval_dataloader(first)
        found["evaluate"] = run.evaluate
    more = built if isinstance(built, Mapping) else {}
    return {**found, **{name: part for name, part in more.items() if part is not trainer}}


def _trainer(built: Any) -> Any:
    if isinstance(built, Mapping):
        return None if "loss" in built else next((part for part in built.values() if _is_trainer(part)), None)
    return built if _is_trainer(built) else None


def _holders(trainer: Any, model: nn.Module) -> dict[str, nn.Module]:
    """Parts of a Trainer that hold its model, such as the losses of sentence-transformers."""
    parts = {name: part for name, part in vars(trainer).items() if isinstance(part, nn.Module) and part is not model}
    return {name: part for name, part in parts.items() if any(inner is model for inner in part.modules())}


def _of_copy(holders: Mapping[str, nn.Module], model: nn.Module, other: nn.Module) -> dict[str, nn.Module]:
    return {name: copy.deepcopy(part, {id(model): other}) for name, part in holders.items()}


def _is_trainer(part: Any) -> bool:
    classes = type(part).__mro__
    return any(one.__name__ == "Trainer" and one.__module__.partition(".")[0] == "transformers" for one in classes)


def _settings(trainer: Any) -> dict[str, Any]:
    """The arguments that are in use: those of an optimizer that was handed in ready made are not."""
    idle = {"learning_rate", "weight_decay", "optim"} if trainer.optimizer is not None else set()
    idle |= {"lr_scheduler_type", "warmup_steps", "warmup_ratio"} if trainer.lr_scheduler is not None else set()
    return {name: getattr(trainer.args, name) for name in _SETTINGS if hasattr(trainer.args, name) and name not in idle}


def _claims(trainer: Any) -> dict[str, Any]:
    """What the arguments and the model's own configuration state."""
    args, config = trainer.args, getattr(trainer.model, "config", None)
    precision = "bf16" if args.bf16 else "fp16" if args.fp16 else None
    pad = getattr(trainer.processing_class, "pad_token_id", None)
    pad = getattr(config, "pad_token_id", None) if pad is None else pad
    # T5 and its kin are "ForConditionalGeneration": their encoder sees everything.
    causal = type(trainer.model).__name__.endswith(("ForCausalLM", "LMHeadModel"))
    return {
        "accumulation": args.gradient_accumulation_steps,
        "max_norm": args.max_grad_norm or None,
        "precision": precision,
        "pad_id": pad,
        "causal": True if causal else None,
    }


class _Run:
    """The functions of a run, over one Trainer."""

    def __init__(self, trainer: Any) -> None:
        self.trainer, self.calls = trainer, 0
        self.items: Any = 0  # that count in the window of accumulation so far
        self.train_loader = trainer.get_train_dataloader()
        self.divides: bool | None = None  # does the loss use them? not known before a first batch
        self.every = trainer.args.gradient_accumulation_steps
        trainer.current_gradient_accumulation_steps = self.every
        self.planned = self._planned()
        trainer.create_optimizer_and_scheduler(num_training_steps=self.planned or _UNKNOWN)
        self.optimizer: Optimizer = trainer.optimizer
        self.schedule: Any = trainer.lr_scheduler

    def _planned(self) -> int | None:
        """Updates of the whole run, as the Trainer counts them: the last window of an epoch may be short."""
        args = self.trainer.args
        if args.max_steps > 0:
            return args.max_steps
        try:
            return math.ceil(args.num_train_epochs * max(1, math.ceil(len(self.train_loader) / self.every)))
        except TypeError:  # a stream
            return None

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """The loss of compute_loss, over the batch's own tokens."""
        inputs = self.trainer._prepare_inputs(batch)
        with self._holding(model), self.trainer.compute_loss_context_manager():
            loss = self.trainer.compute_loss(model, inputs)
        if not isinstance(loss, Tensor):
            raise SubjectError(f"compute_loss returned {type(loss).__name__}; expected a loss tensor")
        return loss

    def step(self, model: nn.Module, optimizer: Optimizer, batch: Any) -> float:
        """One call of the Trainer's loop: an update at every gradient_accumulation_steps-th."""
        trainer, args = self.trainer, self.trainer.args
        place, self.calls = self.calls % self.every, self.calls + 1
        items = trainer._get_num_items_in_batch([batch], args.device)
        window: Any = None if items is None else self._of_window(model, batch, items, place)
        with self._holding(model):
            loss = float(trainer.training_step(model, batch, window))
        if place == self.every - 1:
            if args.max_grad_norm:
                trainer.accelerator.clip_grad_norm_(model.parameters(), args.max_grad_norm)
            optimizer.step()
            if type(self.schedule).__name__ != "ReduceLROnPlateau":  # that one waits for a metric
                self.schedule.step()
            model.zero_grad()
        if items is not None:
            return loss * float(window) / max(float(items), 1.0) if self.divides else loss
        return loss * self.every

    def _of_window(self, model: nn.Module, batch: Any, items: Any, place: int) -> Any:
        """The items by which the Trainer divides a loss: all of its window, which it reads before its first step.

        Here batches come one by one: the window is foretold from those so far, and earlier gradients follow.
        """
        if self.divides is None:
            self.divides = self.every == 1 or self._divides(model, batch)
        before = self.items * self.every / place if place else 0
        self.items = (self.items if place else 0) + items
        now = self.items * self.every / (place + 1)
        for parameter in model.parameters() if place and self.divides and before != now else ():
            if parameter.grad is not None:
                parameter.grad.mul_(float(before / now))
        return now

    def _divides(self, model: nn.Module, batch: Any) -> bool:
        """Models that take any keyword are handed the items, and some ignore them."""
        with torch.no_grad(), evaluating(model):
            given = [dict(self.trainer._prepare_inputs(batch)) for _ in range(2)]
            one, other = (
                self.trainer.compute_loss(model, x, num_items_in_batch=n) for x, n in zip(given, (8, 16), strict=True)
            )
        return float(one) != float(other)

    def evaluate(self, model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
        """What the Trainer's evaluation reports."""
        before = self.trainer.model
        try:
            with self._holding(model):
                self.trainer.model = model
                found = self.trainer.evaluation_loop(loader, description="gonogo", metric_key_prefix="eval")
        finally:
            self.trainer.model = before
            model.train()
        times = ("eval_model_preparation_time", "eval_jit_compilation_time")  # no scores
        found = {name: value for name, value in found.metrics.items() if name not in times}
        self._refuse_unheard(found)
        return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}

    @contextlib.contextmanager
    def _holding(self, model: nn.Module) -> Iterator[None]:
        """Within, parts of the Trainer that hold its model hold this copy of it."""
        own, parts = self.trainer.model, vars(self.trainer)
        before = _holders(self.trainer, own) if model is not own else {}
        parts |= _of_copy(before, own, model)
        try:
            yield
        finally:
            parts |= before

    def _refuse_unheard(self, metrics: Mapping[str, Any]) -> None:
        """Raise, as Trainer.train does after its first evaluation, where the metric of the best model is not there."""
        args = self.trainer.args
        best = args.metric_for_best_model
        if not best or args.eval_strategy == "no" or isinstance(self.trainer.eval_dataset, Mapping):
            return
        name = best if best.startswith("eval_") else f"eval_{best}"
        if name not in metrics:
            near = did_you_mean(name, metrics)
            raise KeyError(f"metric_for_best_model is {best!r}; evaluation reports {', '.join(metrics)}.{near}")

    def save(self, path: Path) -> None:
        """Weights, optimizer and scheduler, as the Trainer's own checkpoint holds them."""
        model = self.trainer.model
        states = {"optimizer": self.optimizer.state_dict(), "scheduler": self.schedule.state_dict()}
        torch.save({"model": model.state_dict(), "calls": self.calls, **states}, path)

    def load(self, path: Path) -> None:
        """The counterpart of `save`."""
        state = torch.load(path, weights_only=True)
        self.trainer.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["scheduler"])
        self.calls = state["calls"]
