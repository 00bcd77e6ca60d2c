"""Which answers a loss differentiates itself: forces, scores, residuals of equations, penalties on gradients."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.instruments.memo import instrument
from gonogo.training import batch as nested
from gonogo.training.session import Session


@instrument
def differentiated(session: Session) -> frozenset[str]:
    """Names of modules through whose outputs the loss takes a gradient on which it goes on to build.

    What such a module adds as a constant has no gradient, by mathematics. Runs the loss in training mode, once.
    """
    model, [batch] = session.model, session.batches("train", limit=1)
    with _watched(model) as found, torch.enable_grad():
        session.loss(nested.clone(batch), model)
        return frozenset(found)


@contextmanager
def _watched(model: nn.Module) -> Iterator[set[str]]:
    found: set[str] = set()

    def watch(name: str) -> Any:
        def note(_: Tensor) -> None:
            if torch.is_grad_enabled():  # the engine's mode is that of create_graph
                found.add(name)

        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            for leaf in nested.tensors(output).values():
                if leaf.requires_grad:
                    leaf.register_hook(note)

        return look

    with contextlib.ExitStack() as stack:
        for name, module in model.named_modules():
            stack.callback(module.register_forward_hook(watch(name)).remove)
        yield found
