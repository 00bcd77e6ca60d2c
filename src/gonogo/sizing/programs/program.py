"""What is sized: how a training program is built and what one of its steps does, before any strategy changes it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves, tree_map

from gonogo.sizing.card import fake_card
from gonogo.sizing.card.step import Step, Traced, static_bytes, trace
from gonogo.training.session import Session, all_of

MICRO = 2  # micro-batches that are traced: the third finds what the second found
Update = Callable[[nn.Module, Sequence[Optimizer], Any], Any]


@dataclass(frozen=True, slots=True)
class Program:
    """Factories, called on the simulated card: what they return has shapes and no bytes.

    Attributes:
        name: For messages.
        model: Builds the model.
        batch: Builds one micro-batch.
        loss: (model, batch) -> 0-d tensor.
        optimizers: Builds the optimizers of a model; none for inference.
        update: One optimizer step; by default the textbook step with `micro` micro-batches.
        micro: Micro-batches for one update.
        tokens: Tokens, or samples where there are none, in one micro-batch.
        around: Contexts of a whole trace: simulated ranks, a choice of kernels.
    """

    name: str
    model: Callable[[], nn.Module]
    batch: Callable[[], Any]
    loss: Callable[[nn.Module, Any], Tensor]
    optimizers: Callable[[nn.Module], Sequence[Optimizer]] = lambda model: ()
    update: Update | None = None
    micro: int = 1
    tokens: int = 1
    around: tuple[Callable[[], AbstractContextManager[Any]], ...] = ()

    def build(self) -> Step:
        """The program on the card."""
        model = self.model()
        optimizers = tuple(self.optimizers(model))
        batch = self.batch()
        update = self.update or self._textbook
        return Step(model, optimizers, batch, lambda: update(model, optimizers, batch))

    def trace(self, **options: Any) -> Traced:
        """Its step without bytes."""
        with self._surrounded():
            return trace(self.build, **options)

    def static_bytes(self) -> int:
        """Bytes that are there all the time: weights, buffers, gradients, optimizer states."""
        with self._surrounded():
            return static_bytes(self.build)

    def _surrounded(self) -> ExitStack:
        with ExitStack() as stack:
            for context in self.around:
                stack.enter_context(context())
            return stack.pop_all()

    def _textbook(self, model: nn.Module, optimizers: Sequence[Optimizer], batch: Any) -> None:
        if not optimizers:
            with torch.inference_mode():
                self.loss(model, batch)
            return
        for optimizer in optimizers:
            optimizer.zero_grad()
        for _ in range(min(self.micro, MICRO)):
            loss = self.loss(model, batch)
            (loss / self.micro if self.micro > 1 else loss).backward()
            del loss
        for optimizer in optimizers:
            optimizer.step()


def of_subject(session: Session) -> Program:
    """The program of a subject: its own model, optimizer and step, on a batch of the shapes of its first."""
    [batch] = session.batches("train", limit=1)
    built: list[Any] = []  # the optimizer of the model that was built last

    def model() -> nn.Module:
        real, optimizer = _real(session)
        new = fake_card.put(real)
        for group in (group for one in all_of(optimizer) for group in one.param_groups):
            group["params"] = [new.get(id(parameter), parameter) for parameter in group["params"]]
        built[:] = [optimizer]
        return real

    return Program(
        session.subject.name,
        model,
        lambda: on_card(batch),
        lambda model, batch: session.loss(batch, model),
        lambda model: all_of(built[0]),
        _own_step(session, built) if session.subject.step else None,
        tokens=samples(batch),
    )


def _own_step(session: Session, built: list[Any]) -> Update:
    """The subject's step with the optimizers of the program, as one or as several, like the subject's own."""

    def step(model: nn.Module, optimizers: Sequence[Optimizer], batch: Any) -> Any:
        several = isinstance(built[0], tuple | list)
        return session.step(batch, model, type(built[0])(optimizers) if several else optimizers[0])  # type: ignore[arg-type]

    return step


def _real(session: Session) -> tuple[nn.Module, Any]:
    """Model and optimizer with numbers in them: the code that builds them may read values."""
    with unset_fake_temporarily():
        model = session.build_model()
        return model, session.build_optimizer(model)


def on_card(batch: Any) -> Any:
    """A batch of the same shapes on the card."""

    def move(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        return torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device=fake_card.DEVICE)

    return tree_map(move, batch)


def samples(batch: Any) -> int:
    """Rows of the first tensor of a batch."""
    return next((leaf.shape[0] for leaf in tree_leaves(batch) if isinstance(leaf, Tensor) and leaf.dim()), 1)
