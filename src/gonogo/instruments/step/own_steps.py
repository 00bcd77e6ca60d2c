"""The run's own step under observation: what its optimizers hold in hand at the moment they step.

Each `OwnSteps` has a model, an optimizer and parts of its own, with the same initial weights as any other: two of them,
fed with the same batches under the same seeds, do the same, and a third that is changed in one respect shows whether
that respect matters.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gonogo.errors import NotApplicable
from gonogo.instruments.answers import equivalence
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.entry import entry
from gonogo.training.session import Session, all_of

PATIENCE = 132  # calls: an undeclared window of 128 micro-batches, or a loss scale that halves 16 times, is seen


@dataclass(frozen=True, slots=True)
class Update:
    """One call of optimizer.step."""

    call: int  # of the step function, from 0
    optimizer: int
    gradient: Tensor  # of the optimizer's parameters, flat, float64
    rates: tuple[float, ...]
    closure: bool  # the optimizer computes the gradient itself, later
    backwards: int  # gradients that arrived since the last update of this optimizer


class OwnSteps:
    """A fresh instance of the run; `updates` grows with every optimizer step."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.model = session.build_model()
        self.optimizer: Any = session.build_optimizer(self.model)
        self.optimizers: tuple[Optimizer, ...] = all_of(self.optimizer)
        self.updates: list[Update] = []
        self.calls = 0
        self.forwards = 0  # of the whole model
        self.pushed = [False] * len(self.optimizers)  # did any gradient arrive that is not zero?
        self._arrived = [0] * len(self.optimizers)

    def held(self, index: int = 0) -> list[nn.Parameter]:
        """The parameters of one optimizer, as tensors that stay the same."""
        return [p for group in self.optimizers[index].param_groups for p in group["params"]]

    def call(self, batch: Any, *, factor: float = 1.0) -> list[Update]:
        """The updates within one call of the run's step; arriving gradients are multiplied by `factor` first."""
        before = len(self.updates)
        with self._watched(factor), seeding.seeded(seeding.derive(self.session.seed, "own step", self.calls)):
            self.session.step(nested.clone(batch), self.model, self.optimizer)
        self.calls += 1
        return self.updates[before:]

    def until_update(self, batches: Sequence[Any], *, factor: float = 1.0, patience: int = PATIENCE) -> list[Update]:
        """The updates of the first call that has some, from batches in turn; empty when patience or time ran out."""
        for _ in range(patience):
            found = self.call(batches[self.calls % len(batches)], factor=factor)
            if found or self.session.seconds_left < 0:
                return found
        return []

    def gradient(self, index: int = 0) -> Tensor:
        """What the parameters of one optimizer hold now."""
        held = self.held(index)
        return equivalence.flat([p.grad for p in held], held)

    def weights(self) -> Tensor:
        """All that the optimizers hold, flat."""
        held = [p for index in range(len(self.optimizers)) for p in self.held(index)]
        return equivalence.flat(held, held)

    @contextmanager
    def _watched(self, factor: float) -> Iterator[None]:
        handles: list[Any] = [entry(self.model).register_forward_hook(self._count_forward)]
        for index, optimizer in enumerate(self.optimizers):
            handles.append(optimizer.register_step_pre_hook(self._noting(index)))
            for parameter in self.held(index):
                if parameter.requires_grad:
                    handles.append(parameter.register_hook(self._arriving(index, factor)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _count_forward(self, *_: Any) -> None:
        self.forwards += 1

    def _noting(self, index: int) -> Any:
        def note(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            closure = any(callable(value) for value in [*args[1:], *kwargs.values()])  # the first is the optimizer
            rates = tuple(float(group.get("lr", 1.0)) for group in optimizer.param_groups)
            new = Update(self.calls, index, self.gradient(index), rates, closure, self._arrived[index])
            self.updates.append(new)
            self._arrived[index] = 0

        return note

    def _arriving(self, index: int, factor: float) -> Any:
        def arrive(gradient: Tensor) -> Tensor | None:
            self._arrived[index] += 1
            self.pushed[index] = self.pushed[index] or _any(gradient)
            return None if factor == 1.0 else gradient * factor

        return arrive


def window(session: Session) -> int:
    """Calls of the step for one update, as seen; 1 where that changes, as under a scaler that skips its first steps."""
    own, batches = OwnSteps(session), session.batches("train", limit=4)
    counts: list[int] = []
    for _ in range(2):
        before = own.calls
        if not own.until_update(batches, patience=PATIENCE // 4):
            return 1
        counts.append(own.calls - before)
    return counts[0] if counts[0] == counts[1] else 1


def _any(gradient: Tensor) -> bool:
    return bool((gradient.coalesce().values() if gradient.is_sparse else gradient).any())


def evaluate(session: Session, model: nn.Module) -> None:
    """The run's own evaluation of the held-out split, of the training split where there is none."""
    split = "valid" if "valid" in session.subject.splits else "train"
    # Loaders give batches where the run's loop would still move them; on a device they are moved here.
    loader = session.subject.splits[split].batches() if session.device.type == "cpu" else session.batches(limit=2)
    session.subject._given("evaluate")(model, loader)


def only_one(own: OwnSteps) -> None:
    """Refuse runs with several optimizers.

    Raises:
        NotApplicable: Their steps minimise several losses in an order of their own.
    """
    if len(own.optimizers) > 1:
        raise NotApplicable("several optimizers minimise losses of their own, in an order of their own")


def refuse_closures(updates: Sequence[Update]) -> None:
    """Refuse optimizers that call the loss themselves.

    Raises:
        NotApplicable: The gradient is not there yet when the step begins.
    """
    if any(update.closure for update in updates):
        raise NotApplicable("the optimizer computes its gradients itself, through a closure")


def forwards_of_loss(session: Session, batch: Any) -> int:
    """How often one call of the declared loss runs the model."""
    own = OwnSteps(session)
    with own._watched(1.0), torch.no_grad():
        session.loss(nested.clone(batch), own.model)
    return own.forwards


def loss_gradients(session: Session, batches: Sequence[Any], *, training: bool = True) -> list[Tensor]:
    """The gradient of the declared loss on each batch, under the seeds that the calls of `OwnSteps` have.

    In evaluation mode the loss of a batch can be compared with those of its parts: nothing is dropped at random.
    """
    own = OwnSteps(session)
    own.model.train(training)
    found: list[Tensor] = []
    for index, batch in enumerate(batches):
        for parameter in own.model.parameters():
            parameter.grad = None
        with seeding.seeded(seeding.derive(session.seed, "own step", index)), torch.enable_grad():
            loss = session.loss(nested.clone(batch), own.model)
            if loss.requires_grad:
                loss.backward()
        found.append(own.gradient())
    return found
