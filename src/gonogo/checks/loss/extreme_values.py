"""A logarithm of a probability that rounds to zero is infinite."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject

FACTOR = 1e4  # of the scores: those of a model that is very sure
_SQUASH = ("softmax", "sigmoid")
_MIXED = ("add", "mul", "div", "true_divide", "stack", "cat", "mean", "sum")  # of probabilities: another that can be 0
_SAME = ("view", "reshape", "squeeze", "unsqueeze", "gather", "getitem", "transpose", "permute", "float", "flatten")


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[at_most("overflows", warn=0, source="ours: finite scores must give a finite loss; far from the start")],
    since="0.1",
)
def extreme_values(session: Session) -> Observation:
    """The loss stays finite when the model is sure | The loss is infinite when the model is sure

    What: looks for logarithms of plain softmax or sigmoid results, or of their means and products, inside the loss, and
        computes the loss again with the scores of every head multiplied by ten thousand. `overflows` counts these
        logarithms if the loss then is nan or infinite on finite scores.
    Why: a probability below 1e-45 rounds to zero, its logarithm is minus infinity, and 0 * log(0) is nan. It happens
        after days, when the model has become sure, or at once in half precision.
    Fix: log_softmax and logsigmoid in place of log(softmax) and log(sigmoid); cross_entropy and
        binary_cross_entropy_with_logits; kl_div with log_target=True; or a clamp before the logarithm.
    Shapes: any.
    Units: overflows: calls.
    Source: ours; pytorch.org, log_softmax.
    """
    [batch] = session.batches("train", limit=1)
    model, watch = session.copy_model(), _Logarithms()
    with torch.no_grad(), evaluating(model), seeding.seeded(session.seed):
        with watch:
            session.loss(nested.clone(batch), model)
        overflows = False
        if watch.found:
            with _Sure():
                overflows = not bool(torch.isfinite(session.loss(nested.clone(batch), model)))
    rows = tuple((name, str(shape)) for name, shape in watch.found)
    return Observation(
        {"overflows": Measurement(len(watch.found) if overflows else 0, "{call}")},
        (Table("Logarithms of probabilities", ("of", "shape"), rows),),
    )


class _Logarithms(TorchFunctionMode):
    """Notes logarithms of what a softmax or sigmoid gave."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[int, ...]]] = []
        self._marks: dict[int, tuple[weakref.ref[Tensor], str]] = {}

    def _mark(self, tensor: Any) -> str:
        ref, name = self._marks.get(id(tensor), (None, ""))
        return name if ref is not None and ref() is tensor else ""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "").removeprefix("__r").strip("_")
        mark = self._mark(args[0]) if args else ""
        if name in ("log", "log2", "log10") and mark:
            self.found.append((mark, tuple(args[0].shape)))
        out = func(*args, **(kwargs or {}))
        new = name if name in _SQUASH else mark if name in _SAME else self._mixed(name, args) if name in _MIXED else ""
        if new and isinstance(out, Tensor):
            self._marks[id(out)] = (weakref.ref(out), new)
        return out

    def _mixed(self, name: str, args: tuple[Any, ...]) -> str:
        """The mark that sums and products of nothing but probabilities have; an epsilon that is added ends it."""
        parts = args[0] if isinstance(args[0], list | tuple) else args[:1] if name in ("mean", "sum") else args
        numbers = [part for part in parts if not isinstance(part, Tensor)]
        marks = [self._mark(part) for part in parts if isinstance(part, Tensor)]
        guarded = name == "add" and any(numbers)
        return marks[0] if marks and all(marks) and not guarded else ""


class _Sure(TorchFunctionMode):
    """Every softmax and sigmoid is given larger scores."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in (*_SQUASH, "log_softmax", "logsigmoid") and args:
            larger = args[0] * FACTOR  # the large negative numbers of masks stay as they are
            args = (torch.where(torch.isfinite(larger), larger, args[0]), *args[1:])
        return func(*args, **(kwargs or {}))


@fault(expect=Status.WARN)
def logarithm_of_softmax(subject: Subject) -> Subject:
    """The cross-entropy is written as the logarithm of a softmax."""

    def loss(model: Any, batch: Any) -> Tensor:
        return nn.functional.nll_loss(model(batch["features"]).softmax(-1).log(), batch["label"])

    return subject.map_loss(lambda _: loss)
