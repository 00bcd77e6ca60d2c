"""Loss scaling: the order of scale, unscale and step."""

from typing import Any

import torch

from gonogo.watch.patch import Undo, quietly, tap
from gonogo.watch.tracer import Tracer


def install(tracer: Tracer) -> list[Undo]:
    """See a GradScaler at work, and autocast being entered."""

    @quietly
    def scaling(scaler: Any, outputs: Any) -> None:
        if scaler.is_enabled():
            tracer.emit("scale", size=float(scaler.get_scale()))

    @quietly
    def unscaling(scaler: Any, optimizer: Any) -> None:
        if scaler.is_enabled():
            tracer.emit("unscale", optimizer=tracer.optimizer(optimizer))

    @quietly
    def entering(context: Any) -> None:
        tracer.emit("autocast", enabled=bool(context._enabled), dtype=str(context.fast_dtype)[6:])

    return [
        tap(tracer, torch.amp.GradScaler, "scale", before=scaling),
        tap(tracer, torch.amp.GradScaler, "unscale_", before=unscaling),
        tap(tracer, torch.autocast, "__enter__", before=entering),
    ]
