"""The real step of a program, run without bytes: its whole history of memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves

from gonogo.sizing.card import fake_card, kernels
from gonogo.sizing.card.history import History
from gonogo.sizing.card.tape import Tape

_RAISED = (RuntimeError, NotImplementedError, TypeError, ValueError, IndexError)  # by programs that need values
STEPS = 3  # optimizer states appear in the first; growth from the second to the third is a leak


@dataclass(frozen=True, slots=True)
class Step:
    """A program on the card. `run` takes one optimizer step, or one forward pass where `optimizers` is empty."""

    model: nn.Module
    optimizers: Sequence[Optimizer]
    batch: Any
    run: Callable[[], Any]


class Untraceable(Exception):  # noqa: N818 - an answer, not an error
    """The step cannot be run without values.

    Attributes:
        where: Operator, phase and module that it came to.
        history: What happened until then: its peak is a lower bound.
    """

    def __init__(self, where: str, error: Exception, history: History) -> None:
        text = " ".join(str(error).split())[:300]
        super().__init__(f"{where}: {type(error).__name__}: {text}")
        self.where, self.history = where, history


class Exceeded(Exception):  # noqa: N818 - an answer, not an error
    """More bytes came to be in use than there may be."""


@dataclass(frozen=True, slots=True)
class Traced:
    """What a traced program does.

    Attributes:
        history: All its allocations.
        parameters: Parameters of the model.
        growth: Live bytes after the last step minus those after the one before: above 0 is a leak.
        guesses: Modules that asked for a value, which a tensor without bytes does not have, and how often.
        bounded: Operators whose result depends on values, for which the largest was taken, and how often.
    """

    history: History
    parameters: int
    growth: int = 0
    guesses: dict[str, int] = field(default_factory=dict)
    bounded: dict[str, int] = field(default_factory=dict)


def trace(
    build: Callable[[], Step], *, steps: int = STEPS, workspace: int = kernels.WORKSPACE, limit: int | None = None
) -> Traced:
    """Build a program on the simulated card, and take some steps.

    Raises:
        Untraceable: A step cannot be run without values.
        Exceeded: More than `limit` bytes came to be in use.
    """
    with fake_card.card(), Tape(workspace=workspace) as tape:
        step = build()
        tape.watch(step.model)
        foreach(step.optimizers)
        watch = _Watch(tape, step, limit)
        watch.label(step.batch, "inputs")
        ends: list[int] = []
        try:
            for number in range(steps):
                tape.history.mark(f"step {number + 1}")
                tape.phase = "forward"
                step.run()
                ends.append(_live(tape.history))
        except _RAISED as error:
            raise Untraceable(tape.at, error, tape.history) from error
        finally:
            watch.remove()
    growth = ends[-1] - ends[-2] if len(ends) > 2 else 0
    parameters = sum(parameter.numel() for parameter in step.model.parameters())
    return Traced(tape.history, parameters, growth, dict(tape.guesses), dict(tape.bounded))


def static_bytes(build: Callable[[], Step]) -> int:
    """What is there all the time, bytes: weights, buffers, gradients and optimizer states. No forward pass is run.

    Raises:
        Untraceable: The program cannot be built without values.
    """
    with fake_card.card(), Tape() as tape:
        try:
            step = build()
            tape.watch(step.model)
            foreach(step.optimizers)
            for parameter in step.model.parameters():
                parameter.grad = torch.empty_like(parameter) if parameter.requires_grad else None
            for optimizer in step.optimizers:
                optimizer.step()
        except _RAISED as error:
            raise Untraceable(tape.at, error, tape.history) from error
        return _live(tape.history)


def foreach(optimizers: Sequence[Optimizer]) -> None:
    """Make optimizers take the implementation that CUDA gets by default; fake parameters would get the slow one."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if group.get("foreach", 0) is None and not group.get("fused") and not group.get("differentiable"):
                group["foreach"] = True


def _live(history: History) -> int:
    return sum(history.allocations[number].size for number in history.live)


class _Watch:
    """Keeps the tape told what tensors are, and which phase it is."""

    def __init__(self, tape: Tape, step: Step, limit: int | None) -> None:
        self._tape, self._model, self._limit = tape, step.model, limit
        self._handles: list[Any] = [
            step.model.register_forward_pre_hook(self._enter),
            step.model.register_forward_hook(self._outputs),
        ]
        for optimizer in step.optimizers:
            self._handles += [
                optimizer.register_step_pre_hook(self._before),
                optimizer.register_step_post_hook(self._after),
            ]

    def remove(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()

    def _stop_beyond(self) -> None:
        # Only between phases: an exception within backward ends the process.
        if self._limit is not None and self._tape.history.most > self._limit:
            raise Exceeded

    def _enter(self, module: nn.Module, inputs: Any) -> None:
        self._tape.phase = "forward"

    def _outputs(self, module: nn.Module, inputs: Any, output: Any) -> None:
        history = self._tape.history
        history.kinds.update(dict.fromkeys(history.live - history.kinds.keys(), "activations"))
        self.label(output, "outputs")
        self._tape.phase = "loss"
        self._stop_beyond()

    def _before(self, optimizer: Optimizer, *_: Any) -> None:
        self._stop_beyond()
        self._tape.phase = "optimizer"
        self.label([parameter.grad for parameter in self._model.parameters()], "gradients")

    def _after(self, optimizer: Optimizer, *_: Any) -> None:
        self.label([list(state.values()) for state in optimizer.state.values()], "optimizer states")
        self._tape.phase = "between"

    def label(self, tree: Any, kind: str) -> None:
        """Say what the tensors in a nest are."""
        for leaf in tree_leaves(tree):
            if isinstance(leaf, Tensor):
                self._tape.label(leaf, kind)
