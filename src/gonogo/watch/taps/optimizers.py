"""Optimizers: every step, what it had in hand, and which parameters ever got a gradient."""

import threading
import time
import weakref
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from gonogo.watch.patch import Undo, quietly, tap
from gonogo.watch.tracer import Tracer

PAUSE = 0.05  # seconds between two readings of the memory


def install(tracer: Tracer) -> list[Undo]:
    """See optimizers being built and stepping. The post hook fires once under every framework."""
    under_way: list[weakref.ref[Optimizer]] = []  # a wrapper's step may call that of the optimizer inside
    work: dict[int, tuple[int, int]] = {}  # forward and backward passes before the last step of each optimizer

    def before(optimizer: Optimizer, *_: Any) -> None:
        if any(ref() is optimizer for ref in under_way):  # its last step raised
            under_way.clear()
        under_way.append(weakref.ref(optimizer))
        introduce(tracer, optimizer)
        tracer.stepping = True
        tracer.had_gradient = _with_gradient(optimizer)

    def after(optimizer: Optimizer, *_: Any) -> None:
        while under_way and under_way.pop()() is not optimizer:
            pass
        tracer.stepping = bool(under_way)
        if not under_way and tracer.mine:
            number, done = tracer.optimizer(optimizer), (tracer.forwards, tracer.backwards)
            _stepped(tracer, optimizer, idle=work.get(number, (0, 0)) == done and not _with_gradient(optimizer))
            work[number] = done
        elif not tracer.backwards:  # nothing trains where the watch began: this thread does, from the next step on
            tracer.thread = threading.get_ident()

    def built(_: None, optimizer: Optimizer, *__: Any, **___: Any) -> None:
        introduce(tracer, optimizer)

    handles = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]
    return [*(handle.remove for handle in handles), tap(tracer, Optimizer, "__init__", after=built)]


def _with_gradient(optimizer: Optimizer) -> bool:
    return any(p.grad is not None for group in optimizer.param_groups for p in group["params"])


def _stepped(tracer: Tracer, optimizer: Optimizer, *, idle: bool) -> None:
    if tracer.active and idle and not tracer.had_gradient:  # a schedule is drawn, say: nothing was trained
        tracer.emit("idle", optimizer=tracer.optimizer(optimizer))
    elif tracer.active:
        note(tracer, optimizer)
        tracer.stepped()
    elif tracer.after_end is not None:
        tracer.after_end()


@quietly
def introduce(tracer: Tracer, optimizer: Optimizer) -> None:
    """Tell of an optimizer at first sight."""
    if tracer.number("optimizer", optimizer)[1]:
        tracer.emit(
            "optimizer", optimizer=tracer.optimizer(optimizer), name=type(optimizer).__name__, lr=rates(optimizer)
        )


@quietly
def note(tracer: Tracer, optimizer: Optimizer) -> None:
    """Tell of a step that is over; gradients are still there, in every framework."""
    number = tracer.optimizer(optimizer)
    tracer.moved[number] = tracer.steps
    held = [p for group in optimizer.param_groups for p in group["params"]]
    with_gradient = [p for p in held if p.grad is not None]
    facts: dict[str, Any] = {"optimizer": number, "lr": rates(optimizer), "had_gradient": tracer.had_gradient}
    facts |= {"held": len(held), "with_gradient": len(with_gradient)}
    if "lr" in vars(optimizer) and type(optimizer).__module__.startswith("torch.optim"):
        facts["unheard"] = True  # they read the rate of each group, and no attribute
    if tracer.sampled:
        facts |= look(with_gradient) | on_device()
    if tracer.sampled or time.perf_counter() - tracer.weighed > PAUSE:
        facts |= resident()
        tracer.weighed = time.perf_counter()
    tracer.emit("step", backwards=tracer.backwards, **facts)


def look(parameters: list[torch.Tensor]) -> dict[str, Any]:
    """The largest gradient, and how many gradients and weights are not finite."""
    gradients = [p.grad for p in parameters if p.grad is not None and not p.grad.is_sparse]
    if not gradients:
        return {}
    sizes = torch.stack([size.float().cpu() for size in norms(gradients)])
    weights = torch.stack([size.float().cpu() for size in norms([p.detach() for p in parameters], 2.0)])
    bad, bad_weights = int((~sizes.isfinite()).sum()), int((~weights.isfinite()).sum())
    return {"bad_gradients": bad, "bad_weights": bad_weights, "zero_gradients": int((sizes == 0).sum())}


def resident() -> dict[str, int]:
    """Memory that this process holds, and what it may hold, bytes."""
    held, whole = _memory()
    return {"resident": held(), "memory": whole} if whole else {}


@cache
def _memory() -> tuple[Callable[[], int], int]:
    try:
        import psutil

        from gonogo.training.machine import memory
    except ImportError:  # the script's interpreter need not be gonogo's
        return int, 0
    return lambda: psutil.Process().memory_info().rss, memory()[0]  # a forked child is another process


def on_device() -> dict[str, int]:
    """Of the GPU that is in use: the most that torch has handed out, and all of it, bytes; nothing is waited for."""
    if not torch.cuda.is_initialized():  # asking would make a context, which the script's workers could not fork
        return {}
    whole = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    return {"device_peak": torch.cuda.max_memory_allocated(), "device_memory": whole}


def norms(tensors: Sequence[torch.Tensor], order: float = float("inf")) -> Sequence[torch.Tensor]:
    """The norm of each tensor, in few kernels."""
    return torch._foreach_norm(list(tensors), order) if tensors else ()  # type: ignore[attr-defined]


def rates(optimizer: Optimizer) -> list[float]:
    """The learning rate of each group."""
    given = [group.get("lr") for group in optimizer.param_groups]  # None where the optimizer finds its own
    return [float(rate) for rate in given if isinstance(rate, int | float | torch.Tensor)]
