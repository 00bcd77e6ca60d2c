"""Positions stay apart in the precision in which they are counted."""

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
from gonogo.instruments.sequence.ramps import rounded_neighbours
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_CASTS = ("to", "type", "type_as", "half", "bfloat16")


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    explains=("learning.", "sequence.position-table"),
    criteria=[
        at_most("spacing", fail=0.999, source="exact: angles next to each other are a radian apart, or more"),
        at_most("equal_rows", fail=0, source="exact: positions next to each other have the same angles, bit for bit"),
        at_most("merged", warn=0, source="exact, but a bias that falls with distance can live with it"),
    ],
    since="0.2",
)
def position_precision(session: Session) -> Observation:
    """Positions stay apart | Positions fall together in low precision

    What: builds the model and takes one of the run's own steps, and looks into every sine and cosine of numbers that no
        weight has touched (the angles of positions and times). `spacing` is the distance of neighbouring numbers of
        their precision at the largest of them. `equal_rows` counts positions that share all their angles with the next:
        a range that was rounded, and cast back. `merged` counts ranges 0, 1, 2, ... that bfloat16 or float16 cannot
        tell apart: the first has no 257, the second no 2049.
    Why: a rotary or sinusoidal embedding computed in bfloat16 gives neighbouring positions one angle. Short texts are
        right, long ones are a blur, and no loss says why.
    Fix: compute positions, frequencies and angles in float32 (outside autocast, and in buffers that model.to(bfloat16)
        does not reach), and cast the sines and cosines.
    Shapes: any.
    Units: spacing: radians; equal_rows: positions; merged: ranges.
    Source: transformers issue 29285, gpt-neox issue 1016, TransformerEngine issue 1245.
    """
    watch = _Angles()
    with watch:
        model = session.build_model()
    optimizer = session.build_optimizer(model)
    batches = session.batches("train", limit=4)
    longest = max(batches, key=lambda batch: sum(leaf.numel() for leaf in nested.tensors(batch).values()))
    with watch:
        session.step(longest, model, optimizer)
    if not watch.rows:
        raise NotApplicable("no positions are counted and no sine is taken of them")
    spacing = [row[3] for row in watch.rows if row[0] in ("sin", "cos")]
    return Observation(
        {
            "spacing": Measurement(max(spacing, default=0.0), "rad", n=len(spacing)),
            "equal_rows": Measurement(watch.equal, "{position}"),
            "merged": Measurement(watch.merged, "{range}"),
        },
        (Table("Angles and positions", ("operation", "precision", "largest", "spacing"), tuple(watch.rows[:40])),),
    )


class _Angles(TorchFunctionMode):
    """Notes sines of numbers without gradient, and ranges that are counted in low precision."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[str, str, float, float]] = []
        self.merged = self.equal = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out, name = func(*args, **(kwargs or {})), getattr(func, "__name__", "").rstrip("_")
        if name in ("sin", "cos") and args and isinstance(args[0], Tensor) and not args[0].requires_grad:
            self._note(name, args[0])
        elif name == "arange":
            self._count(name, torch.arange(out.numel()), out)
        elif name in _CASTS and isinstance(out, Tensor) and _is_low(out):
            self._count(name, args[0], out)
        return out

    def _note(self, name: str, given: Tensor) -> None:
        if given.is_floating_point() and given.numel() and not given.is_meta:
            largest = float(given.abs().nan_to_num(0.0, 0.0).max())
            spacing = torch.finfo(given.dtype).eps * largest if _is_low(given) else 0.0
            self.equal = max(self.equal, rounded_neighbours(given))
            row = (name, str(given.dtype).removeprefix("torch."), largest, spacing)
            self.rows += [] if row in self.rows else [row]

    def _count(self, name: str, before: Tensor, after: Tensor) -> None:
        """A range that rises by one, and the same in low precision."""
        if not _is_low(after) or after.is_meta or after.dim() == 0 or after.shape[-1] < 3 or before.requires_grad:
            return
        if before.layout is not torch.strided or not bool((after[..., 1] - after[..., 0] == 1).all()):
            return
        if bool((before.diff(dim=-1) == 1).all()) and bool((after.diff(dim=-1) == 0).any()):
            self.merged += 1
            largest = float(after.abs().max())
            self.rows.append((name, str(after.dtype).removeprefix("torch."), largest, 0.0))


def _is_low(tensor: Tensor) -> bool:
    return tensor.dtype in (torch.bfloat16, torch.float16)


class _Turning(nn.Module):
    """Adds cosines of positions, counted in some precision."""

    def __init__(self, inner: nn.Module, angle: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.angle = inner, angle

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        return self.inner(*inputs, **named) + 0.01 * self.angle(torch.arange(400)).float().cos().mean()


@fault(toy="causal_lm")
def angles_in_bfloat16(subject: Subject) -> Subject:
    """The angles are computed in bfloat16."""
    return subject.map_model(lambda model: _Turning(model, lambda places: places.to(torch.bfloat16).mul(0.9).cos()))


@fault(expect=Status.WARN, toy="causal_lm")
def distances_in_bfloat16(subject: Subject) -> Subject:
    """Distances are counted in bfloat16."""
    return subject.map_model(lambda model: _Turning(model, lambda places: places.to(torch.bfloat16) / 400))
