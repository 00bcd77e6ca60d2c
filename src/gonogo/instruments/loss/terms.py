"""The terms of a scalar loss, found in its graph, and how hard each pulls at the weights that all of them move.

A sum, a mean of stacked scalars and a product with a constant are taken apart; what stands behind is a term, with the
weight that the graph gives it. No user code has to name it. An error of several columns (position, size, angle) counts
as one term per column.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge
from torch.overrides import TorchFunctionMode

from gonogo.instruments.loss.interception import VALUE_LOSSES

COLUMNS = (3, 16)  # of an error: fewer are no comparison, more are a picture or a spectrum
_SUMS = ("Add", "Sub", "Neg", "Mul", "Div", "Sum", "Mean", "Squeeze", "Unsqueeze", "View", "Clone", "ToCopy", "Expand")
_JOINED = ("Stack", "Cat")
_LIBRARY = (f"{Path(torch.__file__).parent}/", f"{Path(__file__).parents[1]}/")


@dataclass(frozen=True, slots=True)
class Term:
    """One term of a loss.

    Attributes:
        name: The function that made it, and the column if it is one.
        place: File and line from which that was called.
        value: Before its weight.
        weight: The factor with which the loss adds it.
        group: Terms of one group were given the same weight by the author.
        pull: Gradient of the weighted term at each parameter, None where it does not reach.
    """

    name: str
    place: str
    value: float
    weight: float
    group: str
    pull: tuple[Tensor | None, ...] = field(default=(), repr=False)

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.place


@dataclass(frozen=True, slots=True)
class _Made:
    """A scalar that was computed: by what, where, and from which matrix of answers."""

    value: float
    name: str
    place: str
    columns: Tensor | None


class Scalars(TorchFunctionMode):
    """Notes every scalar with a gradient that is computed while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[Any, _Made] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.numel() == 1 and out.grad_fn is not None and out.is_floating_point():
            name = getattr(func, "__name__", "")
            self.made[out.grad_fn] = _Made(float(out.detach()), name, _place(), _columns(name, args, kwargs or {}))
        return out


def _place() -> str:
    """File and line of the nearest caller outside of torch and of this package."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_LIBRARY):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame else ""


def _columns(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The answers [b, k] that a loss of values compares with targets of the same shape."""
    if name not in VALUE_LOSSES:
        return None
    given = dict(zip(("input", "target"), args, strict=False)) | kwargs
    one, other = given.get("input"), given.get("target")
    if not isinstance(one, Tensor) or not isinstance(other, Tensor) or one.shape != other.shape or one.dim() != 2:
        return None
    return one if COLUMNS[0] <= one.shape[1] <= COLUMNS[1] and one.requires_grad else None


def terms(loss: Tensor, made: dict[Any, _Made]) -> list[Term]:
    """The terms of a loss whose scalars were noted; without their pull."""
    return [term for term, _ in _found(loss, made)]


def pulls(
    loss: Tensor, made: dict[Any, _Made], parameters: Sequence[nn.Parameter], which: Sequence[bool]
) -> list[Term]:
    """The chosen terms with their pull at the parameters; one backward pass each."""
    found = zip(_found(loss, made), which, strict=True)
    return [_pulling(term, start, parameters) for (term, start), wanted in found if wanted]


def _found(loss: Tensor, made: dict[Any, _Made]) -> list[tuple[Term, tuple[Any, Tensor]]]:
    """Each term, and where its backward pass begins with what."""
    nodes = list(_ends(loss.grad_fn, made))
    if not nodes or any(node not in made for node in nodes):
        return []
    weights = torch.autograd.grad(loss, [GradientEdge(node, 0) for node in nodes], retain_graph=True)
    found: list[tuple[Term, tuple[Any, Tensor]]] = []
    for number, (node, weight) in enumerate(zip(nodes, weights, strict=True)):
        one, factor = made[node], float(weight.sum())
        term = Term(one.name, one.place, one.value, factor, f"weight {abs(factor):.4g}")
        start = (GradientEdge(node, 0), weight)
        found += [(term, start)] if one.columns is None else _by_column(term, start, one.columns, f"columns {number}")
    return found


def _by_column(
    term: Term, start: tuple[Any, Tensor], answers: Tensor, group: str
) -> Iterator[tuple[Term, tuple[Any, Tensor]]]:
    """The columns of an error as terms of their own."""
    [slope] = torch.autograd.grad([start[0]], [answers], [start[1]], retain_graph=True)
    for column in range(answers.shape[1]):
        only = torch.zeros_like(slope)
        only[:, column] = slope[:, column]
        name = f"{term.name}, column {column}"
        yield Term(name, term.place, term.value, term.weight, group), (answers, only)


def _ends(node: Any, made: dict[Any, _Made]) -> Iterator[Any]:
    """The scalars behind sums and constant factors, each once."""
    seen: set[Any] = set()
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        parts = _parts(node, made)
        if parts:
            waiting += reversed(parts)
        else:
            yield node


def _parts(node: Any, made: dict[Any, _Made]) -> list[Any]:
    """The scalars of which this one is a weighted sum; none if it is something else."""
    kind = _kind(node)
    if not kind.startswith(_SUMS):
        return []
    behind = [following for following, _ in node.next_functions if following is not None]
    if kind.startswith(("Mul", "Div")) and (len(behind) != 1 or (kind == "Div" and node.next_functions[0][0] is None)):
        return []  # a product of two things that learn, or a constant over one
    if len(behind) == 1 and behind[0] not in made and _kind(behind[0]).startswith(_JOINED):
        behind = [following for following, _ in behind[0].next_functions if following is not None]
    return behind if all(one in made for one in behind) else []


def _kind(node: Any) -> str:
    return node.name().split("::")[-1].partition("Backward")[0]


def _pulling(term: Term, start: tuple[Any, Tensor], parameters: Sequence[nn.Parameter]) -> Term:
    output, slope = start
    found = torch.autograd.grad([output], parameters, [slope], retain_graph=True, allow_unused=True)
    return Term(term.name, term.place, term.value, term.weight, term.group, tuple(found))
