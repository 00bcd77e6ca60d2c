"""A nan that is cleaned away has happened all the same."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.instruments.step.training_steps import cycled
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    criteria=[
        at_most("cleaned", warn=0, source="ours: rows with nothing to attend to and missing inputs are left out")
    ],
    explains=("learning.", "optimizer."),
    since="0.1",
)
def sanitised(session: Session, *, steps: int = 3) -> Observation:
    """No nan is cleaned away | Nan or infinite values are cleaned away

    What: takes some of the run's own steps and looks into every call of nan_to_num. `cleaned` counts those that found
        nan or infinite values; a softmax over nothing, and batches that mark missing values by nan, are left out.
    Why: activations or gradients that were nan and are now zero hide a division by zero or a divergence: the loss looks
        healthy while some samples or layers do not train.
    Fix: find the first operation that makes them (torch.autograd.detect_anomaly) and mend it; then remove nan_to_num.
    Shapes: any.
    Units: cleaned: calls.
    Source: ours; anomaly detection of torch.autograd.
    """
    session.model.train()
    watch = _Cleaning()
    calls = steps * max(1, session.claims.accumulation)
    for batch in cycled(session, calls):
        watch.missing = any(_is_bad(leaf) for leaf in nested.tensors(batch).values())
        with watch:
            session.step(nested.clone(batch))
    rows = tuple((shape, times) for shape, times in watch.found.most_common())
    return Observation(
        {"cleaned": Measurement(sum(watch.found.values()), "{call}", n=calls)},
        (Table("What nan_to_num cleaned", ("tensor", "times"), rows),),
    )


def _is_bad(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())


class _Cleaning(TorchFunctionMode):
    """Notes what nan_to_num was given, but for the rows of a softmax over nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.missing = False  # the batch itself holds nan
        self._empty: list[Tensor] = []  # softmax with rows that have nothing to attend to; kept, so that none is reused

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in ("nan_to_num", "nan_to_num_") and not self.missing:
            given = args[0] if args else (kwargs or {})["input"]
            if _is_bad(given.detach()) and not any(given is one for one in self._empty):
                self.found[f"{str(given.dtype).removeprefix('torch.')} {tuple(given.shape)}"] += 1
        out = func(*args, **(kwargs or {}))
        if name in ("softmax", "log_softmax", "scaled_dot_product_attention") and _is_bad(out.detach()):
            # Without nan in its scores, only a row of nothing but -inf makes one.
            self._empty += [] if any(isinstance(a, Tensor) and bool(a.isnan().any()) for a in args) else [out]
        return out


@fault(expect=Status.WARN)
def cleaned_activations(subject: Subject) -> Subject:
    """The logarithm of a negative number is replaced by zero."""
    return subject.map_outputs(lambda output: output + 0.1 * output.log().nan_to_num())


@fault(expect=Status.WARN, toy="regressor")
def cleaned_gradients(subject: Subject) -> Subject:
    """Gradients are nan, and cleaned before the step."""

    def step(model: Any, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        loss = subject._given("loss")(model, batch)
        (loss + 0 * (model(batch[0]) * 0).abs().sqrt().sum()).backward()
        for parameter in model.parameters():
            parameter.grad.nan_to_num_()
        optimizer.step()
        return float(loss.detach())

    return replace(subject, step=step)
