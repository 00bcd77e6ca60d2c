"""A claim of half precision is true when matrix products run in it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_least
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.step.autocast import switched_off
from gonogo.instruments.step.training_steps import cycled
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_DTYPES = {"bf16": torch.bfloat16, "bfloat16": torch.bfloat16, "fp16": torch.float16, "float16": torch.float16}
_PRODUCTS = ("linear", "matmul", "bmm", "mm", "addmm", "baddbmm", "__matmul__", "__rmatmul__", "einsum")
_PRODUCTS += ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "scaled_dot_product_attention")
_PRODUCTS += ("multi_head_attention_forward",)


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[
        at_least(
            "share",
            fail=1e-9,
            warn=0.5,
            source="ours: a claim of half precision without one product in it; heads may stay in float32",
        )
    ],
    explains=("efficiency.",),
    since="0.1",
)
def precision(session: Session) -> Observation:
    """Matrix products run in the claimed precision | Matrix products do not run in the claimed precision

    What: watches linear layers, convolutions, matrix products and attention during one of the run's own steps. `share`
        is the part of their results, by elements, that has the precision of Claims(precision=...). Autocast that is
        switched off by something that mentions a device is not judged on another one.
    Why: without autocast around the forward pass, or with another dtype in it, the run needs twice the memory and
        several times the time that was planned; or it runs in a format in which it was never tried.
    Fix: with torch.autocast(device_type, dtype=...) around model and loss, in the step that is really used, on the
        device where the model really is; or cast the model with .to(dtype).
    Shapes: any.
    Units: share: 1.
    Source: pytorch.org, automatic mixed precision; lightning-thunder issue 725 (autocast not applied).
    """
    wanted = _DTYPES.get(str(session.claims.precision).lower().removeprefix("torch."))
    if wanted is None:
        raise NotApplicable("no half precision is claimed: give Claims(precision='bf16')")
    session.model.train()
    watch, elsewhere = _Products(), []
    [batch] = cycled(session, 1)
    with watch, switched_off(session.device.type, elsewhere):
        session.step(nested.clone(batch))
    total = sum(watch.elements.values())
    if not total:
        raise NotApplicable("the step runs no matrix product that is seen from outside")
    share = watch.elements[wanted] / total
    if not share and elsewhere:
        raise NotApplicable(f"half precision is there, but switched off on this device ({elsewhere[0]})")
    rows = tuple((str(dtype), count) for dtype, count in watch.elements.most_common())
    return Observation(
        {"share": Measurement(share, n=watch.calls)},
        (Table("Results of matrix products", ("precision", "elements"), rows),),
    )


class _Products(TorchFunctionMode):
    """Counts elements of products by precision."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: Counter[torch.dtype] = Counter()
        self.calls = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in _PRODUCTS:
            tensor = out[0] if isinstance(out, tuple) else out
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                self.calls += 1
                self.elements[tensor.dtype] += tensor.numel()
        return out


@fault()
def no_autocast(subject: Subject) -> Subject:
    """bf16 is claimed, and nothing switches it on."""
    return subject.with_claims(precision="bf16")


@fault()
def another_format(subject: Subject) -> Subject:
    """bf16 is claimed, and the forward pass runs in fp16."""
    claimed = subject.with_claims(precision="bf16")

    def step(model: Any, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = subject._given("loss")(model, batch)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return replace(claimed, step=step)


@fault()
def switched_off_by_a_flag(subject: Subject) -> Subject:
    """bf16 is claimed, and the switch of autocast is off."""
    claimed, flag = subject.with_claims(precision="bf16"), False

    def step(model: Any, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=flag):
            loss = subject._given("loss")(model, batch)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return replace(claimed, step=step)
