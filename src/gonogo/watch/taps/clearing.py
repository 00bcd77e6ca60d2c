"""Are gradients cleared between updates? Seen on the numbers themselves, however the script clears them.

A gradient that is left over is added to: the sum after the next backward is then old + new, bit for bit. Where it was
cleared, the sum is the new gradient alone. A few small parameters tell.
"""

import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from gonogo.watch.patch import Undo, quietly, tap
from gonogo.watch.tracer import Tracer

PROBES, SMALL = 3, 65_536  # parameters of each optimizer that are followed, and how many numbers they may have


@dataclass(slots=True)
class _Probe:
    """What one parameter's gradient is made of."""

    optimizer: int
    parameter: weakref.ref[Tensor]
    held: Tensor | None = None  # the gradient as it was last seen
    new: Tensor | None = None  # what the backward pass that is under way brings
    used: bool = False  # does `held` contain what a step used?
    carried: bool | None = False  # does it now contain what a step used before? None: cannot be told
    unused: int | None = None  # the optimizer steps that there were when a gradient came that none has used
    weights: Tensor | None = None  # as that gradient found them
    lost: bool = False  # was a gradient cleared that nothing had used?
    bad: bool = False  # did nan or infinity come?


def install(tracer: Tracer) -> list[Undo]:
    """Follow a few parameters of each optimizer."""
    probes = _Probes(tracer)
    before = register_optimizer_step_pre_hook(lambda optimizer, *_: probes.before(optimizer))
    after = register_optimizer_step_post_hook(lambda optimizer, *_: probes.after(optimizer))

    def zeroing(*_: Any, **__: Any) -> None:
        tracer.emit("zero")

    return [
        before.remove,
        after.remove,
        probes.remove,
        tap(tracer, Optimizer, "zero_grad", before=zeroing),
        tap(tracer, torch.nn.Module, "zero_grad", before=zeroing),
    ]


class _Probes:
    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.of: dict[int, list[_Probe]] = {}
        self.handles: list[Any] = []

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    @quietly
    def before(self, optimizer: Optimizer) -> None:
        """What does the optimizer have in hand?"""
        probes = self.of.get(self.tracer.optimizer(optimizer), [])
        told = [probe for probe in probes if probe.used and probe.carried is not None]
        if told and self.tracer.here:
            # What was left over may have been replaced by hand since: the step takes something else.
            carried = sum(bool(probe.carried) and _is_the_last(probe) for probe in told)
            self.tracer.emit("carried", optimizer=probes[0].optimizer, carried=carried, probes=len(told))
        if self.tracer.here and any(map(_is_mended, probes)):
            self.tracer.emit("mended", optimizer=probes[0].optimizer)
        # Of some parameters alone, a gradient may be cleared for a reason, or may move the weights by hand.
        found = [probe for probe in probes if probe.unused is not None]
        if found and self.tracer.here and all(probe.lost and _is_the_last(probe) for probe in found):
            self.tracer.emit("wasted", optimizer=probes[0].optimizer)

    @quietly
    def after(self, optimizer: Optimizer) -> None:
        """From here on, what is in the gradient has been used."""
        if not self.tracer.here:
            return
        number = self.tracer.optimizer(optimizer)
        if number not in self.of:
            self.of[number] = [self._probe(number, p) for p in _small(optimizer)]
        for probe in self.of[number]:
            parameter = probe.parameter()
            gradient = parameter.grad if parameter is not None else None
            watched = self.tracer.sampled and gradient is not None and bool(gradient.any())
            probe.held = gradient.detach().clone() if watched and gradient is not None else None
            probe.used, probe.carried, probe.unused, probe.lost, probe.bad = watched, None, None, False, False

    def _probe(self, number: int, parameter: Tensor) -> _Probe:
        probe = _Probe(number, weakref.ref(parameter))
        self.handles += [
            parameter.register_hook(lambda gradient: self._arriving(probe, gradient)),
            parameter.register_post_accumulate_grad_hook(lambda p: self._arrived(probe, p)),  # type: ignore[attr-defined]
        ]
        return probe

    @quietly
    def _arriving(self, probe: _Probe, gradient: Tensor) -> None:
        if self.tracer.sampled and self.tracer.active:
            probe.bad |= not bool(gradient.detach().isfinite().all())
        if probe.held is not None and self.tracer.active:
            probe.new = gradient.detach().clone()

    @quietly
    def _arrived(self, probe: _Probe, parameter: Tensor) -> None:
        new, held, found = probe.new, probe.held, parameter.grad
        probe.new = None
        if new is None or held is None or found is None or held.shape != new.shape:
            return
        cleared, added = bool(torch.equal(found, new)), bool(torch.equal(found, held + new))
        if cleared and not added:
            # Sharpness-aware steps use a gradient to move the weights, by their own hand, before they clear it.
            still = probe.weights is not None and torch.equal(parameter.detach(), probe.weights)
            probe.lost |= probe.unused == self.tracer.steps and not self.tracer.stepping and still
            probe.carried = False
        elif added and not cleared:
            probe.carried = probe.carried is None or probe.carried
        elif not cleared:  # the script put another one in its place meanwhile, perhaps the one that was cleared
            probe.lost = False
        probe.unused = self.tracer.steps
        probe.held, probe.weights = found.detach().clone(), parameter.detach().clone()


def _is_mended(probe: _Probe) -> bool:
    """Was there nan or infinity in the gradient when it came, and is there none now?"""
    parameter = probe.parameter()
    gradient = parameter.grad if parameter is not None else None
    return probe.bad and gradient is not None and bool(gradient.isfinite().all())


def _is_the_last(probe: _Probe) -> bool:
    """Does the step take what came last, clipped perhaps, and not a gradient that the script composed of several?"""
    parameter = probe.parameter()
    gradient = parameter.grad if parameter is not None else None
    return gradient is not None and probe.held is not None and torch.equal(gradient.sign(), probe.held.sign())


def _small(optimizer: Optimizer) -> list[Tensor]:
    """Some parameters of different places that are cheap to copy."""
    held = [p for group in optimizer.param_groups for p in group["params"]]
    small = [p for p in held if p.grad is not None and not p.grad.is_sparse and p.numel() <= SMALL and p.is_leaf]
    return small[:: max(len(small) // PROBES, 1)][:PROBES]
