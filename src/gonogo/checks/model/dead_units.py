"""A unit that is zero for every sample takes no part."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject

LEAST = 8  # samples: with fewer, a unit is silent by accident


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("dead_share", warn=0.9, source="ours: inputs that are all positive silence up to half of the units")
    ],
    since="0.1",
)
def dead_units(session: Session, *, batches: int = 4) -> Observation:
    """The units of every ReLU answer to some sample | Most units of a ReLU are zero for every sample

    What: watches every call of relu in evaluation mode over some batches. `dead_share` is the largest share of units of
        one call that were zero for all samples.
    Why: behind a large negative bias, or inputs of a wrong scale, a ReLU gives zero for everything and gets no
        gradient, so it never comes back.
    Fix: look at the bias of the layer before, at the scale of the inputs, and at the initialisation.
    Shapes: units on axis 1 of images and volumes, on the last axis else.
    Units: dead_share: 1.
    Source: TheDeepChecker (Ben Braiek and Khomh, 2022), dead ReLU.
    """
    model, alive, samples = session.copy_model(), {}, 0
    for batch in session.batches("train", limit=batches):
        watch = _Rectified()
        with torch.no_grad(), evaluating(model), seeding.seeded(session.seed), watch:
            session.loss(nested.clone(batch), model)
        samples += nested.size(batch) or 0
        for key, active in watch.active.items():
            alive[key] = alive.get(key, torch.zeros_like(active)) | active
    if not alive or samples < LEAST:
        raise NotApplicable("no relu is called, or on too few samples")
    shares = {f"call {place + 1} ({units} units)": 1 - float(a.float().mean()) for (place, units), a in alive.items()}
    return Observation(
        {"dead_share": Measurement(max(shares.values()), n=samples)},
        (Table("Share of units that are zero for all samples", ("relu", "share"), tuple(shares.items())),),
    )


class _Rectified(TorchFunctionMode):
    """Which units were above zero, by place of the call and number of units."""

    def __init__(self) -> None:
        super().__init__()
        self.active: dict[tuple[int, int], Tensor] = {}
        self._calls = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in ("relu", "relu_") and isinstance(out, Tensor) and out.dim() > 1:
            axis = 1 if out.dim() > 3 else out.dim() - 1
            active = (out.detach() > 0).movedim(axis, 0).flatten(1).any(1)
            self.active[self._calls, len(active)] = active
            self._calls += 1
        return out


@fault(expect=Status.WARN)
def large_negative_bias(subject: Subject) -> Subject:
    """A ReLU behind a bias of -10."""

    def change(model: nn.Module) -> nn.Module:
        layers = [(owner, name) for owner in model.modules() for name, m in owner.named_children() if _is_smooth(m)]
        if not layers:
            raise NotApplicable("the model has no activation that could be replaced")
        owner, name = layers[0]
        setattr(owner, name, nn.Sequential(_Shift(), nn.ReLU()))
        return model

    return subject.map_model(change)


def _is_smooth(module: nn.Module) -> bool:
    return isinstance(module, nn.GELU | nn.Tanh | nn.ReLU)


class _Shift(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        """Far below zero."""
        return x - 10
