"""Where a model is entered: the module whose call gives the answer that the loss is about.

Usually the model itself. Modules that hold a training step (LightningModule, wrappers of losses) often call one of
their parts, `self.net(x)`, and never their own forward: then that part's inputs and outputs are the model's.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.loss import _Loss

from gonogo.training import batch as nested

_MARK = "_gonogo_entry"


def entry(model: nn.Module) -> nn.Module:
    """The module to listen to."""
    return model.get_submodule(vars(model).get(_MARK, ""))


def mark(model: nn.Module, name: str) -> nn.Module:
    """The model, with the dotted name of its entry written on it; copies of the model carry it along."""
    if name:
        vars(model)[_MARK] = name  # past nn.Module's own bookkeeping: this is no parameter and no buffer
    return model


def in_ranks() -> bool:
    """Is this one of several processes that would have to agree on every call of a model?"""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def found(model: nn.Module, run: Callable[[], Any]) -> str:
    """The dotted name of the entry while `run` computes a loss; "" for the model itself, or if there are several."""
    # A check may be listening to every operation while it builds its model: this pass is none of its business.
    with torch._C.DisableTorchFunction():
        names = {name for name, _ in answers(model, run)}
    return names.pop() if len(names) == 1 else ""


def answers(model: nn.Module, run: Callable[[], Any]) -> list[tuple[str, Any]]:
    """(dotted name, answer) of each call from outside of any other module, while `run` computes a loss."""
    called: list[tuple[str, Any]] = []
    with _outermost(model, called):
        run()
    return called


@contextmanager
def _outermost(model: nn.Module, called: list[tuple[str, Any]]) -> Iterator[None]:
    """Within, modules that are called from outside of any other are noted once they answer."""
    open_calls: list[nn.Module] = []

    def enter(module: nn.Module, inputs: Any) -> None:
        open_calls.append(module)

    def leave(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            open_calls.pop()
            if not open_calls and _answers(module, output):
                called.append((name, plain(output)))

        return note

    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.callback(module.register_forward_pre_hook(enter).remove)
            stack.callback(module.register_forward_hook(leave(name), always_call=True).remove)
        yield


def _answers(module: nn.Module, output: Any) -> bool:
    """Losses and metrics are modules as well, and no part of the answer."""
    if isinstance(module, _Loss) or type(module).__module__.partition(".")[0] == "torchmetrics":
        return False
    leaves = nested.tensors(plain(output)).values()
    return any(isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.dim() for leaf in leaves)


def plain(output: Any) -> Any:
    """Model outputs of libraries are mappings or dataclasses with fields that may be None: the others, as a tuple."""
    to_tuple: Callable[[], Any] | None = getattr(output, "to_tuple", None)
    return to_tuple() if callable(to_tuple) else output
