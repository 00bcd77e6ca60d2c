"""An accelerator that is not there: tensors with shapes, strides, devices and gradients, but no bytes.

The one module that touches PyTorch's experimental interfaces for this: a PrivateUse1 backend in Python under
FakeTensorMode. Stock fake tensors on "cuda" abort the process in builds without CUDA; "meta" takes other kernels.
`install` is idempotent and changes nothing for real tensors; `works` is the self-test that decides between this card
and the fallback, fake tensors on the CPU, whose kernels differ (DIFFERENCES says how).
"""

import contextlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils import backend_registration
from torch.utils._pytree import tree_flatten, tree_unflatten

from gonogo.sizing.card import autocast_rules, kernels

NAME = "simcard"
DEVICE = NAME  # where tensors go: "cpu" once `settle` has found that this build of torch refuses the card
DIFFERENCES = (
    "this build of torch refuses the simulated card, so the step was traced on a fake CPU: attention takes the CPU's "
    "fused kernel, autocast the CPU's lists, and no workspace of a GPU library is seen"
)
_STREAMS: list[Any] = []


class _Stream:
    """The order of work is the program's; streams only have a number here."""

    _count = 0

    def __init__(self, *args: Any, id: int | None = None, **kwargs: Any) -> None:
        _Stream._count += id is None
        self.id = _Stream._count if id is None else id
        self.device = torch.device(DEVICE, 0)

    def __enter__(self) -> "_Stream":
        _STREAMS.append(self)
        return self

    def __exit__(self, *args: object) -> None:
        _STREAMS.pop()

    def wait_stream(self, other: Any) -> None: ...
    def wait_event(self, event: Any) -> None: ...
    def synchronize(self) -> None: ...
    def record_event(self, event: Any = None) -> Any:
        return event or _Event()


class _Event:
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def record(self, *args: Any) -> None: ...
    def wait(self, *args: Any) -> None: ...
    def synchronize(self) -> None: ...
    def query(self) -> bool:
        return True


class _Backend(backend_registration._DummyBackendModule):  # type: ignore[misc, name-defined]
    """What torch asks of a device module."""

    Stream, Event = _Stream, _Event

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def current_stream(self, *args: Any) -> _Stream:
        return _STREAMS[-1] if _STREAMS else _Stream(id=0)

    def default_stream(self, *args: Any) -> _Stream:
        return _Stream(id=0)

    def stream(self, stream: _Stream) -> _Stream:
        return stream

    def set_device(self, device: Any) -> None: ...
    def synchronize(self, *args: Any) -> None: ...
    def empty_cache(self) -> None: ...
    def get_device_capability(self, *args: Any) -> tuple[int, int]:
        return (9, 0)


def stream() -> int:
    """Number of the stream that work goes to now."""
    return _STREAMS[-1].id if _STREAMS else 0


@cache
def install() -> None:
    """Make the device known to torch, with the kernels and autocast lists of CUDA; once per process."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Backend())
    autocast_rules.install(NAME)
    kernels.install(NAME)


@cache
def works() -> bool:
    """Does a small network train on the simulated card in this build of torch?"""
    try:
        install()
        with _fake():
            with torch.device(DEVICE):
                model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
            optimizer = torch.optim.AdamW(model.parameters(), foreach=True)
            with torch.autocast(DEVICE, dtype=torch.bfloat16):
                loss = model(torch.empty(2, 4, device=DEVICE)).float().square().mean()
            loss.backward()
            optimizer.step()
            return model[0].weight.device.type == DEVICE and loss.dtype is torch.float32
    except (RuntimeError, AttributeError, NotImplementedError, TypeError, AssertionError):
        return False


def settle() -> str:
    """Decide for the card or for the fallback, once per process; what is different under the fallback, or nothing."""
    global DEVICE
    if DEVICE == NAME and not works():
        DEVICE = "cpu"
    return "" if DEVICE == NAME else DIFFERENCES


@contextlib.contextmanager
def card() -> Iterator[FakeTensorMode]:
    """Within, tensors have no bytes, "cuda" means the simulated card, and initial values are not computed."""
    settle()
    with _fake() as mode:
        yield mode


@contextlib.contextmanager
def _fake() -> Iterator[FakeTensorMode]:
    threads = torch.autograd.is_multithreading_enabled()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_attribute(FakeTensorMode, "avoid_device_init", property(lambda self: True)))
        stack.enter_context(_attribute(torch.autocast, "__init__", _autocast_here(torch.autocast.__init__)))
        stack.enter_context(_attribute(nn.Module, "_apply", _apply))
        stack.enter_context(_without_initial_values())
        mode = stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(_CudaIsHere())
        torch.autograd.set_multithreading_enabled(False)  # type: ignore[no-untyped-call]
        try:
            yield mode
        finally:
            torch.autograd.set_multithreading_enabled(threads)  # type: ignore[no-untyped-call]


class _CudaIsHere(TorchFunctionMode):
    """Every mention of a CUDA device means the simulated one."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if "device" in kwargs:
            kwargs["device"] = _here(kwargs["device"])
        if func is Tensor.cuda:
            return args[0].to(DEVICE)
        if func is Tensor.to:
            args = (args[0], *map(_here, args[1:]))
        if func is Tensor.backward:  # else this mode is off where checkpointed layers run again
            gradient = kwargs.pop("gradient", args[1] if len(args) > 1 else None)
            with self:
                return torch.autograd.backward(args[0], gradient, **kwargs)
        if func not in _MOVES:
            args, kwargs = _beside((args, kwargs))
        return func(*args, **kwargs)


# These may well be given tensors of two devices.
_MOVES = frozenset(
    (Tensor.to, Tensor.copy_, Tensor.cuda, Tensor.cpu, Tensor.type_as, torch.nn.utils.rnn.pack_padded_sequence)
)


def _beside(given: Any) -> Any:
    """Tensors of the CPU beside some of the card go there too: programs for a CPU name no device."""
    leaves, spec = tree_flatten(given)
    where = [leaf.device.type if isinstance(leaf, Tensor) else "" for leaf in leaves]
    if DEVICE not in where or "cpu" not in where:
        return given
    moved = (leaf.to(DEVICE) if at == "cpu" and leaf.dim() else leaf for leaf, at in zip(leaves, where, strict=True))
    return tree_unflatten(moved, spec)


def _autocast_here(initialise: Any) -> Any:
    def begin(self: Any, device_type: str, *args: Any, **kwargs: Any) -> None:
        initialise(self, DEVICE if device_type in ("cuda", "cpu") else device_type, *args, **kwargs)

    return begin


def _here(device: Any) -> Any:
    if isinstance(device, str | torch.device) and torch.device(device).type == "cuda":
        return torch.device(DEVICE)
    return device


@contextlib.contextmanager
def _without_initial_values() -> Iterator[None]:
    """Values are never read here, and loops that draw until a value fits would not end."""
    names = [name for name in dir(nn.init) if name.endswith("_") and not name.startswith("_")]
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(_attribute(nn.init, name, lambda tensor, *args, **kwargs: tensor))
        yield


def _apply(module: nn.Module, change: Any, recurse: bool = True) -> nn.Module:
    """nn.Module._apply as it treats real tensors: parameters stay the same objects and get new data.

    For fake tensors torch exchanges the objects, which fails once anything refers to them weakly.
    """
    for child in module.children() if recurse else ():
        child._apply(change)
    with torch.no_grad():
        for parameter in module._parameters.values():
            if parameter is not None:
                parameter.data = change(parameter)
                if parameter.grad is not None:
                    parameter.grad.data = change(parameter.grad)
    for name, buffer in module._buffers.items():
        module._buffers[name] = None if buffer is None else change(buffer)
    return module


@contextlib.contextmanager
def _attribute(owner: Any, name: str, value: Any) -> Iterator[None]:
    missing = object()
    before = vars(owner).get(name, missing)
    setattr(owner, name, value)
    try:
        yield
    finally:
        delattr(owner, name) if before is missing else setattr(owner, name, before)


def put(module: nn.Module) -> dict[int, Tensor]:
    """Move a model that was built elsewhere onto the card, in place; its new tensors by id of the old ones.

    Tied parameters stay tied. Only within `card`.
    """
    new: dict[int, Tensor] = {}
    for part in module.modules():
        for table in (part._parameters, part._buffers):
            for name, tensor in table.items():
                if tensor is not None:
                    if id(tensor) not in new:
                        new[id(tensor)] = _moved(tensor)
                    table[name] = new[id(tensor)]  # type: ignore[assignment]
    return new


def _moved(tensor: Tensor) -> Tensor:
    there = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=DEVICE)
    return nn.Parameter(there, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else there
