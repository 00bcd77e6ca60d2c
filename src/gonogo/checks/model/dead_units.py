"""A unit that is zero for every sample takes no part."""

from collections import Counter
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

LEAST = 8  # rows: with fewer, a unit is silent by accident


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[
        at_most(
            "excess",
            warn=0.0,
            source="calibrated: clean programs have a share of at most 0.31, inputs of one sign a half",
        )
    ],
    since="0.1",
)
def dead_units(session: Session, *, batches: int = 4) -> Observation:
    """The units of every ReLU answer to some sample | Most units of a ReLU are zero for every sample

    What: watches every call of relu in evaluation mode over some batches. `dead_share` is the share of units of one
        call that were zero for all rows, and `excess` what it has above the usual, both of the call where that is
        most. Usual is at most a half and three standard deviations of it: inputs that are all positive silence a unit
        by the toss of a coin.
    Why: behind a large negative bias, or inputs of a wrong scale, a ReLU gives zero for everything and gets no
        gradient, so it never comes back.
    Fix: look at the bias of the layer before, at the scale of the inputs, and at the initialisation.
    Shapes: units on axis 1 of images and volumes, on the last axis else.
    Units: excess, dead_share: 1.
    Source: TheDeepChecker (Ben Braiek and Khomh, 2022), dead ReLU.
    """
    model = session.copy_model()
    alive: dict[tuple[int, int], Tensor] = {}
    rows: Counter[tuple[int, int]] = Counter()
    for batch in session.batches("train", limit=batches):
        watch = _Rectified()
        with torch.no_grad(), evaluating(model), seeding.seeded(session.seed), watch:
            session.loss(nested.clone(batch), model)
        rows.update(watch.rows)
        for key, active in watch.active.items():
            alive[key] = alive.get(key, torch.zeros_like(active)) | active
    shares = {key: 1 - float(active.float().mean()) for key, active in alive.items() if rows[key] >= LEAST}
    if not shares:
        raise NotApplicable("no relu is called, or on too few samples")
    worst = max(shares, key=lambda key: shares[key] - _usual(key[1]))
    table = tuple((f"call {k[0] + 1} ({k[1]} units)", share, _usual(k[1])) for k, share in shares.items())
    return Observation(
        {
            "excess": Measurement(max(0.0, shares[worst] - _usual(worst[1])), n=rows[worst]),
            "dead_share": Measurement(shares[worst], n=rows[worst]),
        },
        (Table("Share of units that are zero for all rows", ("relu", "share", "usual at most"), table),),
    )


def _usual(units: int) -> float:
    return min(0.95, 0.5 + 1.5 / units**0.5)


class _Rectified(TorchFunctionMode):
    """Which units were above zero, and for how many rows they were asked, by place of the call and number of units."""

    def __init__(self) -> None:
        super().__init__()
        self.active: dict[tuple[int, int], Tensor] = {}
        self.rows: dict[tuple[int, int], int] = {}
        self._calls = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in ("relu", "relu_") and isinstance(out, Tensor) and out.dim() > 1:
            axis = 1 if out.dim() > 3 else out.dim() - 1
            active = (out.detach() > 0).movedim(axis, 0).flatten(1).any(1)
            self.active[self._calls, len(active)] = active
            self.rows[self._calls, len(active)] = len(out)
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
