"""One live, seeded instance of a subject on a device, narrowed to what a check declared."""

import contextlib
import copy
import itertools
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from gonogo.core.capability import Capability
from gonogo.errors import CheckError, NotApplicable, SubjectError
from gonogo.training import batch as batches_
from gonogo.training import entry, fingerprint, loop, seeding
from gonogo.training.claims import Claims
from gonogo.training.masks import follow_queries
from gonogo.training.subject import Split, Subject

_NEEDS = {
    "model": Capability.MODEL,
    "optimizer": Capability.OPTIMIZER,
    "loss": Capability.LOSS,
    "config": Capability.CONFIG,
    "train": Capability.TRAIN,
    "valid": Capability.VALID,
}

# Every model that a factory has built and that is still alive: a factory must not return one of them again.
_BUILT: weakref.WeakSet[nn.Module] = weakref.WeakSet()


class Session:
    """What a check sees: the built parts that it declared to need, and the moves that all checks share."""

    def __init__(
        self,
        subject: Subject,
        *,
        needs: Iterable[Capability] | None = None,
        device: torch.device | str = "cpu",
        seed: int = 0,
        seconds: float = 60.0,
    ) -> None:
        self.subject, self.seed, self.device = subject, seed, torch.device(device)
        self.needs = frozenset(subject.provides() if needs is None else needs)
        self.deadline = time.monotonic() + seconds
        self.memo: dict[Any, Any] = {}
        self._model: nn.Module | None = None
        self._optimizer: Optimizer | None = None
        self._batches: dict[str, list[Any]] = {}
        self._entry: list[str] = []  # its name, once it is known; shared by all sessions of the subject

    # What the subject is

    @property
    def claims(self) -> Claims:
        return self.subject.claims

    @property
    def model(self) -> nn.Module:
        """The session's model in training mode, built at first use."""
        self._declared("model")
        if self._model is None:
            self._model = self.build_model()
        return self._model

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer of the session's model, built at first use."""
        self._declared("optimizer")
        if self._optimizer is None:
            self._optimizer = self.build_optimizer(self.model)
        return self._optimizer

    def build_model(self) -> nn.Module:
        """Another model, with the same initial weights: same seed, same device."""
        self._declared("model")
        with seeding.seeded(self.seed):
            model = self.subject._given("model")()
        if not isinstance(model, nn.Module):
            raise SubjectError(f"model() returned {type(model).__name__}; expected a torch.nn.Module")
        if model in _BUILT:
            raise SubjectError("model() returned the same object twice; make it build a new model at each call")
        _BUILT.add(model)
        model = model.to(self.device).train()
        if any(map(is_lazy, itertools.chain(model.parameters(), model.buffers()))) and self._has_loss:
            self._run_once(model)  # lazy layers get the sizes that they see in the first batch of the run
        return entry.mark(model, self._entry_name())

    @property
    def _has_loss(self) -> bool:
        return self.subject.loss is not None and "train" in self.subject.splits

    def _run_once(self, model: nn.Module) -> None:
        view = self.narrowed((Capability.LOSS, Capability.TRAIN), self.seconds_left)
        [batch] = view.batches(limit=1)
        with seeding.seeded(self.seed), torch.no_grad(), evaluating(model):
            view.loss(batch, model)

    def _entry_name(self) -> str:
        """Found with a model of its own, which may not survive to be looked at in other ways."""
        if not self._entry and self._has_loss and not entry.in_ranks():
            self._entry.append("")  # until it is found: that takes a model, too
            with contextlib.suppress(Exception):
                model = self.narrowed((Capability.MODEL,), self.seconds_left).build_model()
                self._entry[0] = entry.found(model, lambda: self._run_once(model))
        return self._entry[0] if self._entry else ""

    def build_optimizer(self, model: nn.Module) -> Optimizer:
        """A new optimizer of that model."""
        self._declared("optimizer")
        optimizer = self.subject._given("optimizer")(model)
        for one in all_of(optimizer):
            if not isinstance(one, Optimizer):
                raise SubjectError(f"optimizer(model) returned {type(one).__name__}; expected a torch.optim.Optimizer")
        return optimizer

    def parts(self, model: nn.Module | None = None, optimizer: Optimizer | None = None) -> Mapping[str, Any]:
        """What else belongs to a model: "scheduler", "scaler", "ema", "best", as far as the subject has them."""
        model, optimizer = model or self.model, optimizer or self.optimizer
        given = dict(self.subject.parts(model)) if self.subject.parts else {}
        if "scheduler" not in given and self.subject.schedule is not None:
            given["scheduler"] = self.subject.schedule(optimizer)
        return {name: part for name, part in given.items() if part is not None}

    def split(self, name: str) -> Split:
        """The description of one split."""
        self._declared(name)
        if name not in self.subject.splits:
            raise NotApplicable(f"the subject has no split {name!r}")
        return self.subject.splits[name]

    def loader(self, name: str) -> Iterable[Any]:
        """A new iterable of batches."""
        built = self.split(name).batches()
        if not hasattr(built, "__iter__"):
            raise SubjectError(f"splits[{name!r}] built {type(built).__name__}; expected an iterable of batches")
        return built

    def batches(self, split: str = "train", *, limit: int) -> list[Any]:
        """The first `limit` batches of a split, on the device; copies, the same ones at every call.

        Raises:
            SubjectError: The split is empty.
        """
        self._declared(split)
        have = self._batches.setdefault(split, [])
        if len(have) < limit:
            # What was handed out before stays, even if the loader shuffles by a generator of its own.
            with seeding.seeded(seeding.derive(self.seed, "batches", split)):
                have += [batches_.clone(b) for b in itertools.islice(self.loader(split), len(have), limit)]
        if not have:
            raise SubjectError(f"the split {split!r} has no batch; check its data set, batch size and drop_last")
        return [batches_.to(batches_.clone(batch), self.device) for batch in have[:limit]]

    # What can be done with it

    def loss(self, batch: Any, model: nn.Module | None = None) -> Tensor:
        """The loss of a model (the session's own by default) on a batch, 0-d."""
        self._declared("loss")
        function, model = self.subject._given("loss"), model or self.model
        if torch.is_grad_enabled():
            return loop.scalar_loss(function, model, batch)
        state = torch.get_rng_state()
        try:
            return loop.scalar_loss(function, model, batch)
        except RuntimeError as error:
            if "does not require grad" not in str(error):
                raise
        # It differentiates its own answers: a penalty on gradients, forces, residuals of an equation.
        torch.set_rng_state(state)
        with torch.inference_mode(False), torch.enable_grad():
            return loop.scalar_loss(function, model, batch).detach()

    def step(self, batch: Any, model: nn.Module | None = None, optimizer: Optimizer | None = None) -> float:
        """One optimizer step, the run's own where the subject gives it; the loss before it."""
        model, optimizer = model or self.model, optimizer or self.optimizer
        if self.subject.step is not None:
            with loop.past_the_end():
                return loop.number(self.subject.step(model, optimizer, batch))
        return loop.textbook_step(self.subject._given("loss"), model, optimizer, batch)

    def outputs(self, batch: Any, model: nn.Module | None = None) -> dict[str, Tensor]:
        """The floating-point outputs of a model by path: from `predict`, or seen at its forward during the loss."""
        model = model or self.model
        if self.subject.predict is not None:
            seen = self.subject.predict(model, batch)
        else:
            seen = self._forward_during_loss(model, batch)
        found = {path: leaf for path, leaf in batches_.tensors(seen).items() if leaf.is_floating_point()}
        if not found:
            raise NotApplicable("no floating-point output was seen; give Subject(predict=...)")
        return found

    def _forward_during_loss(self, model: nn.Module, batch: Any) -> Any:
        calls: list[Any] = []
        try:
            inner = entry.entry(model)
            handle = inner.register_forward_hook(lambda module, inputs, output: calls.append(entry.plain(output)))
        except RuntimeError as error:  # TorchScript takes no hooks
            raise NotApplicable(f"the outputs cannot be watched ({error}); give Subject(predict=...)") from None
        try:
            self.loss(batch, model)
        finally:
            handle.remove()
        if not calls:
            raise NotApplicable("the loss does not call the model's forward; give Subject(predict=...)")
        return calls

    def save(self, model: nn.Module, optimizer: Optimizer, folder: Path) -> Path:
        """The file of a checkpoint: by the run's own function, else the state dicts."""
        path = folder / "checkpoint.pt"
        if self._has_own_checkpoint:
            self.subject._given("save")(path, model, optimizer)
        else:
            states = [one.state_dict() for one in all_of(optimizer)]
            torch.save({"model": model.state_dict(), "optimizers": states}, path)
        return path

    def load(self, path: Path) -> tuple[nn.Module, Optimizer]:
        """A new model and optimizer with what `save` wrote."""
        model = self.build_model()
        optimizer = self.build_optimizer(model)
        if self._has_own_checkpoint:
            self.subject._given("load")(path, model, optimizer)
        else:
            state = torch.load(path, weights_only=True, map_location=self.device)
            model.load_state_dict(state["model"])
            for one, its in zip(all_of(optimizer), state["optimizers"], strict=True):
                one.load_state_dict(its)
        return model, optimizer

    @property
    def _has_own_checkpoint(self) -> bool:
        return self.subject.save is not None and self.subject.load is not None

    def copy_model(self, dtype: torch.dtype | None = None) -> nn.Module:
        """A private copy of the session's model as it is now, in another precision if wanted."""
        duplicate: nn.Module | None = None
        # Locks and non-leaf tensors as attributes cannot be copied, and __deepcopy__ may raise anything.
        with contextlib.suppress(Exception):
            duplicate = copy.deepcopy(self.model)
        if duplicate is None or isinstance(self.model, torch.jit.ScriptModule):  # whose copies share their gradients
            duplicate = self.build_model()
            duplicate.load_state_dict(self.model.state_dict())
        return follow_queries(duplicate.to(dtype)) if dtype else duplicate

    # What the runner needs

    @property
    def seconds_left(self) -> float:
        """Time until the check's limit, seconds."""
        return self.deadline - time.monotonic()

    def narrowed(self, needs: Iterable[Capability], seconds: float) -> "Session":
        """The same live parts for another check, with its own needs and time limit."""
        view = copy.copy(self)
        view.needs, view.deadline = frozenset(needs), time.monotonic() + seconds
        return view

    def fresh(self, needs: Iterable[Capability], seconds: float) -> "Session":
        """A new instance, nothing built yet; it shares only the batches that were read already."""
        new = Session(self.subject, needs=needs, device=self.device, seed=self.seed, seconds=seconds)
        new._batches, new._entry = self._batches, self._entry
        return new

    def fingerprint(self) -> dict[str, str]:
        """Digest of everything a check must not change."""
        model = fingerprint.of_model(self._model) if self._model is not None else {}
        return {**fingerprint.of_process(), **model}

    def _declared(self, name: str) -> None:
        need = _NEEDS.get(name)
        if need is not None and need not in self.needs:
            raise CheckError(f"the check uses {name!r} without declaring it; add Capability.{need.name} to its needs")


def all_of(optimizer: Any) -> tuple[Optimizer, ...]:
    """The optimizers in what `optimizer(model)` returned: usually one; adversarial runs have several."""
    given = optimizer if isinstance(optimizer, tuple | list) else (optimizer,)
    # Accelerate's wrapper holds no hooks of its own.
    return tuple(one if hasattr(one, "_optimizer_step_pre_hooks") else getattr(one, "optimizer", one) for one in given)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """The model in evaluation mode, each module's own mode restored at the end."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield model.eval()
    finally:
        for module, training in modes:
            module.training = training
