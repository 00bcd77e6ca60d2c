"""Before training a classifier should know nothing, and know that it knows nothing."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, within
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[
        within(
            "ratio_to_chance",
            warn=(0.05, 1.5),
            source="measured on toys: logits of standard deviation 0.5, 1.0, 1.4 give 1.03, 1.11, 1.21",
        )
    ],
    since="0.1",
)
def initial_loss(session: Session, *, batches: int = 4) -> Observation:
    """The initial loss is that of guessing | The initial loss is not that of guessing

    What: `ratio_to_chance` is the first cross-entropy that the untrained model gets, divided by ln C, the loss of a
        guess among C classes. The calls of cross_entropy, nll_loss and binary_cross_entropy_with_logits inside the loss
        are observed, so weights, smoothing and other terms of the loss do not matter.
    Why: far above one, the head starts with confident wrong answers and the first steps only shrink it. Near zero
        before any training, the answer is visible in the input.
    Fix: above: initialise the last layer with a small standard deviation, look for a missing scale or a double
        logarithm. Near zero: look for the target among the inputs (unshifted tokens, a label column). Negative: raw
        scores went into nll_loss. A pretrained head, or a bias set to the class frequencies, may start below one for
        good reasons.
    Shapes: logits (batch, C, ...), targets (batch, ...).
    Units: ratio_to_chance: 1.
    Source: A. Karpathy, A Recipe for Training Neural Networks (2019), "verify loss at init".
    """
    model = session.copy_model()
    calls: list[tuple[float, int]] = []
    with torch.no_grad():
        for batch in session.batches("train", limit=batches):
            with _CrossEntropyCalls(calls):
                session.loss(batch, model)
    if not calls:
        raise NotApplicable("the loss calls no cross-entropy on class logits, so there is no loss of guessing")
    ratios = [loss / math.log(classes) for loss, classes in calls]
    rows = tuple((index, loss, classes, math.log(classes)) for index, (loss, classes) in enumerate(calls))
    return Observation(
        {"ratio_to_chance": Measurement(sum(ratios) / len(ratios), n=len(ratios))},
        (Table("Cross-entropy before training", ("call", "loss", "classes", "loss of guessing"), rows),),
    )


class _CrossEntropyCalls(TorchFunctionMode):
    """Notes the plain mean cross-entropy and the number of classes of every call with class indices as targets."""

    def __init__(self, calls: list[tuple[float, int]]) -> None:
        super().__init__()
        self._calls = calls

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = dict(zip(("input", "target"), args, strict=False)) | kwargs
        if func in (nn.functional.cross_entropy, nn.functional.nll_loss):
            self._note(func, given["input"], given["target"], kwargs.get("ignore_index", -100))
        elif func is nn.functional.binary_cross_entropy_with_logits:
            with torch._C.DisableTorchFunction():
                plain = func(given["input"].detach().float(), given["target"].float())
            self._calls.append((float(plain), 2))
        return func(*args, **kwargs)

    def _note(self, func: Callable[..., Tensor], scores: Tensor, target: Tensor, ignore_index: int) -> None:
        classes = scores.shape[1] if scores.dim() > 1 else scores.shape[0]
        if target.is_floating_point() or classes < 2 or not (target != ignore_index).any():
            return
        with torch._C.DisableTorchFunction():
            plain = func(scores.detach().float(), target, ignore_index=ignore_index)
        # Cross-entropy calls nll_loss inside where its own dispatch is off, so no call is noted twice.
        self._calls.append((float(plain), classes))


def _scaled_head(factor: float) -> Callable[[nn.Module], nn.Module]:
    def change(model: nn.Module) -> nn.Module:
        heads = [module for module in model.modules() if isinstance(module, nn.Linear)]
        with torch.no_grad():
            heads[-1].weight.mul_(factor)
        return model

    return change


@fault(expect=Status.WARN)
def large_head(subject: Subject) -> Subject:
    """The last layer starts a hundred times too large."""
    return subject.map_model(_scaled_head(100.0))


@fault(expect=Status.WARN)
def answer_in_input(subject: Subject) -> Subject:
    """The logits are the answer, before any training."""

    class Oracle(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is nn.functional.cross_entropy:
                logits, target = args[0], args[1]
                args = (logits + 20 * nn.functional.one_hot(target, logits.shape[1]).to(logits.dtype), *args[1:])
            return func(*args, **(kwargs or {}))

    def leaking(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def leaked(model: nn.Module, batch: Any) -> Tensor:
            with Oracle():
                return loss(model, batch)

        return leaked

    return subject.map_loss(leaking)
