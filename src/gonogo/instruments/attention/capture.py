"""Attention as it is called: the weights of every call in a forward pass, which stays as it is.

Fused kernels hand out no weights; they are computed again beside the call, for a few queries. Softmax that is written
out is followed from the product of queries and keys to the product with the values.
"""

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from gonogo.errors import NotApplicable
from gonogo.instruments.attention.calls import Follow
from gonogo.instruments.attention.fast_path import observed_beside
from gonogo.instruments.attention.weights import BUDGET, AttentionMap
from gonogo.instruments.memo import instrument
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating

MAPS = 128  # calls kept of one pass
_ALONE = 2**18  # weights kept of one call where nothing else is going on


@dataclass
class Captured:
    """The calls of attention in a forward pass.

    Attributes:
        maps: Their weights, in the order of the calls; at most MAPS.
        more: Calls that were not kept.
        unseen: Names of calls whose weights could not be seen, with their number.
    """

    maps: list[AttentionMap] = field(default_factory=list)
    more: int = 0
    unseen: Counter[str] = field(default_factory=Counter)

    def add(self, found: AttentionMap) -> None:
        """Keep a map if there is room."""
        if len(self.maps) < MAPS:
            self.maps.append(found)
        else:
            self.more += 1

    def refuse_unseen(self) -> None:
        """Say that what was not seen cannot be judged.

        Raises:
            NotApplicable: A kernel hid its weights, or there is no attention.
        """
        if self.unseen:
            names = ", ".join(f"{name} ({count}x)" for name, count in self.unseen.items())
            raise NotApplicable(f"the attention weights of some calls cannot be seen: {names}")
        if not self.maps:
            raise NotApplicable("no attention was seen: no kernel of torch, no softmax of scores times values")


@contextlib.contextmanager
def capturing(model: nn.Module, *, budget: int = BUDGET, content: bool = False) -> Iterator[Captured]:
    """Captures the attention of every forward of a model within; results, gradients and random numbers stay the same.

    Compiled code runs uncompiled meanwhile, which may round differently.

    Args:
        model: Its modules give the calls their names.
        budget: Weights kept of one call; see `AttentionMap.thinned`.
        content: Keep the rows of queries and keys, too.
    """
    captured = Captured()
    callers = Callers(model)
    follow = Follow(captured, callers, budget, content)
    with contextlib.ExitStack() as stack:
        if "torch._dynamo" in sys.modules:  # compiled code cannot be watched, and must not be compiled anew
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(observed_beside(model))
        stack.enter_context(callers.watched())
        stack.enter_context(follow)
        yield captured


class Callers:
    """The modules that are being called now. Global hooks: hooks of their own would keep modules from fast paths."""

    def __init__(self, model: nn.Module) -> None:
        self.names = {id(module): name for name, module in model.named_modules()}
        self.stack: list[str] = []

    @property
    def name(self) -> str:
        """Dotted name of the innermost module of the model that is being called."""
        return self.stack[-1] if self.stack else ""

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Follows the calls of all modules."""

        def enter(module: nn.Module, args: Any) -> None:
            if id(module) in self.names:
                self.stack.append(self.names[id(module)])

        def leave(module: nn.Module, args: Any, output: Any) -> None:
            if id(module) in self.names and self.stack:
                self.stack.pop()

        before = nn.modules.module.register_module_forward_pre_hook(enter)
        after = nn.modules.module.register_module_forward_hook(leave, always_call=True)
        try:
            yield
        finally:
            before.remove()
            after.remove()


@instrument
def attention_maps(session: Session, *, content: bool = False) -> Captured:
    """Every call of attention while the loss of one batch runs in evaluation mode, on a copy of the model."""
    [batch] = session.batches("train", limit=1)
    return maps_of(session, session.copy_model(), batch, content=content)


def maps_of(session: Session, model: nn.Module, batch: Any, *, content: bool = False) -> Captured:
    """The same for a model and a batch of choice; the model's mode is restored."""
    watch = capturing(model, budget=_ALONE, content=content)
    with torch.no_grad(), evaluating(model), seeding.seeded(session.seed), watch as captured:
        session.loss(nested.clone(batch), model)
    return captured
