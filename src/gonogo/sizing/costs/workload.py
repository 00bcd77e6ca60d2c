"""What one traced step makes a device do: FLOPs and bytes of every kernel, transfers to the host, exchanges."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch._guards import active_fake_mode
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._sharding_prop import ShardingPropagator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from gonogo.sizing.card.history import History

Kind = Literal["matmul", "attention", "convolution", "memory", "exchange", "host link", "host"]
Phase = Literal["forward", "recompute", "backward", "update"]

_FOREACH = 32  # tensors that one launch of a horizontally fused kernel takes
_COUNTER = 4096  # bytes; smaller tensors of the host are counters, not work
_EXCHANGES = ("all_reduce", "all_gather", "reduce_scatter", "broadcast", "all_to_all")
_QUIET = ("prim", "profiler", "inductor", "debugprims")
_NOTHING = ("empty", "new_empty", "lift", "alias", "_unsafe_view", "_local_scalar_dense", "_record_function")
_GATHERS = ("embedding", "index", "index_select", "gather")  # read as much as they return
_WRITERS = ("copy_", "zero_", "fill_")  # do not read what they overwrite


@dataclass(frozen=True, slots=True)
class Kernel:
    """One operator of a step, as often as it ran with the same figures.

    Attributes:
        operator: Its name; for an exchange, which of the collective operations.
        dtype: Of the arithmetic; "tf32" for float32 matrices where the program allows it.
        flops: By the conventional count: attention in full, whatever its mask.
        busy_flops: What the device computes: half of that where attention is causal.
        bytes: Read and written, by strides; of an exchange, all that the ranks end up with or began with.
        launches: Kernels that it starts each time.
        times: How often.
    """

    operator: str
    kind: Kind
    phase: Phase
    dtype: str
    flops: int
    busy_flops: int
    bytes: int
    launches: int = 1
    times: int = 1


@dataclass(slots=True)
class Work:
    """All kernels of one step of one rank."""

    counts: Counter[Kernel] = field(default_factory=Counter)

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernels, each with how often it ran."""
        return tuple(replace(kernel, times=times) for kernel, times in self.counts.items())

    @property
    def flops(self) -> int:
        """FLOPs, recomputation included, attention in full."""
        return sum(kernel.flops * times for kernel, times in self.counts.items())

    @property
    def model_flops(self) -> int:
        """FLOPs that the model needs, which is what utilisation (MFU) counts: nothing that is done twice."""
        useful = ((kernel, times) for kernel, times in self.counts.items() if kernel.phase != "recompute")
        return sum(_once(kernel) * times for kernel, times in useful)

    @property
    def operators(self) -> int:
        """Operators that the host sends to the device."""
        return sum(times for kernel, times in self.counts.items() if kernel.kind != "host")

    def total(self, kind: Kind) -> int:
        """Bytes of all kernels of a kind."""
        return sum(kernel.bytes * times for kernel, times in self.counts.items() if kernel.kind == kind)

    @property
    def dtype(self) -> str:
        """In which most of the arithmetic is done."""
        by: Counter[str] = Counter()
        for kernel, times in self.counts.items():
            by[kernel.dtype] += kernel.flops * times
        return by.most_common(1)[0][0] if by else "float32"


def _once(kernel: Kernel) -> int:
    """Fused attention computes its scores again in backward: four products are needed, five are counted."""
    again = kernel.kind == "attention" and kernel.phase == "backward"
    return kernel.flops * 4 // 5 if again else kernel.flops


@contextlib.contextmanager
def work_of() -> Iterator[Work]:
    """Gathers the work of the last step traced within: enter it around the trace, then it sees what the tape does."""
    work = Work()
    with _begin_with_each_step(work), _quiet_propagation() as paused, _Gather(work, paused):
        yield work


class _Gather(TorchDispatchMode):
    def __init__(self, work: Work, paused: list[bool]) -> None:
        super().__init__()
        self._work, self._paused = work, paused

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if any(kind is DTensor for kind in types):
            return NotImplemented  # it comes again with the local shards
        result = func(*args, **kwargs)
        if not self._paused and active_fake_mode() is not None and _works(func):
            kernel = _kernel(func, args, kwargs, result)
            if kernel is not None:
                self._work.counts[kernel] += 1
        return result


def _works(func: Any) -> bool:
    name = func._schema.name.partition("::")[2]
    return func.namespace not in _QUIET and not func.is_view and not name.startswith(_NOTHING)


def _kernel(func: Any, args: Any, kwargs: Any, result: Any) -> Kernel | None:
    name = func._schema.name.partition("::")[2]
    if "c10d" in func.namespace:
        return _exchange(name, args, result)
    read, written = _read(name, args, kwargs), _written(func, args, kwargs, result)
    moved = read + written
    size = sum(map(_bytes, moved))
    kind = _place(moved)
    if kind == "host link":
        size = sum(map(_bytes, written))
    if kind == "host" and size < _COUNTER:
        return None
    flops = _flops(func, args, kwargs, result)
    if kind == "memory" and flops:
        kind = "attention" if "attention" in name else "convolution" if "convolution" in name else "matmul"
    causal = bool(_argument(func, args, kwargs, "is_causal"))
    tensors = max((len(arg) for arg in args if isinstance(arg, list | tuple)), default=1) if "_foreach" in name else 1
    launches = max(1, -(-tensors // _FOREACH))
    dtype = _dtype(name, kind, moved)
    return Kernel(name, kind, _phase(), dtype, flops, flops // 2 if causal else flops, size, launches)


def _exchange(name: str, args: Any, result: Any) -> Kernel | None:
    plain = name.replace("allreduce", "all_reduce").replace("allgather", "all_gather").replace("alltoall", "all_to_all")
    which = next((one for one in _EXCHANGES if one in plain), None)
    if which is None:
        return None
    sides = [sum(map(_bytes, _tensors(side))) for side in (*args, result)]
    dtype = next((str(one.dtype).removeprefix("torch.") for one in _tensors(args)), "float32")
    return Kernel(which, "exchange", _phase(), dtype, 0, 0, max(sides, default=0))


def _phase() -> Phase:
    backward = torch._C._current_graph_task_id() != -1
    if torch.is_grad_enabled() or torch.is_inference_mode_enabled():
        return "recompute" if backward else "forward"  # a checkpointed part runs with gradients within backward
    return "backward" if backward else "update"


def _flops(func: Any, args: Any, kwargs: Any, result: Any) -> int:
    count = flop_registry.get(func._overloadpacket)
    return int(count(*args, **kwargs, out_val=result)) if count is not None else 0


def _dtype(name: str, kind: Kind, moved: list[Tensor]) -> str:
    if "scaled_mm" in name:
        return "float8"
    dtype = str(moved[0].dtype).removeprefix("torch.") if moved else "float32"
    if dtype != "float32":
        return dtype
    fast = (
        torch.backends.cudnn.allow_tf32 if kind == "convolution" else torch.get_float32_matmul_precision() != "highest"
    )
    return "tf32" if fast and kind in ("matmul", "convolution") else dtype


def _place(tensors: list[Tensor]) -> Kind:
    devices = {tensor.device.type for tensor in tensors if tensor.dim() or tensor.device.type != "cpu"}
    if "cpu" not in devices:
        return "memory" if devices else "host"
    return "host link" if len(devices) > 1 else "host"


def _read(name: str, args: Any, kwargs: Any) -> list[Tensor]:
    tensors = _tensors((args, kwargs))
    return tensors[1:] if name in _GATHERS or name in _WRITERS else tensors


def _written(func: Any, args: Any, kwargs: Any, result: Any) -> list[Tensor]:
    written = _tensors(result)
    if written:
        if func._schema.name.partition("::")[2] in _GATHERS:
            return written * 2
        return written
    changed = [one.name for one in func._schema.arguments if one.alias_info is not None and one.alias_info.is_write]
    return _tensors([_argument(func, args, kwargs, name) for name in changed])


def _argument(func: Any, args: Any, kwargs: Any, name: str) -> Any:
    if name in kwargs:
        return kwargs[name]
    places = [one.name for one in func._schema.arguments]
    return args[places.index(name)] if name in places and places.index(name) < len(args) else None


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _bytes(tensor: Tensor) -> int:
    """Of the elements that are there: an expanded dimension is one element wide."""
    size = tensor.element_size()
    for length, stride in zip(tensor.shape, tensor.stride(), strict=True):
        size *= length if stride or not length else 1
    return size


@contextlib.contextmanager
def _begin_with_each_step(work: Work) -> Iterator[None]:
    """Forget what came before whenever a history marks the beginning of a step."""
    original = History.mark

    def mark(history: History, label: str) -> None:
        work.counts.clear()
        original(history, label)

    History.mark = mark  # type: ignore[method-assign]
    try:
        yield
    finally:
        History.mark = original  # type: ignore[method-assign]


@contextlib.contextmanager
def _quiet_propagation() -> Iterator[list[bool]]:
    """Not empty while DTensor works out shapes on whole tensors, which is no work of any device."""
    paused: list[bool] = []
    original = ShardingPropagator._propagate_tensor_meta_non_cached

    def propagate(*args: Any, **kwargs: Any) -> Any:
        paused.append(True)
        try:
            return original(*args, **kwargs)
        finally:
            paused.pop()

    ShardingPropagator._propagate_tensor_meta_non_cached = propagate  # type: ignore[method-assign]
    try:
        yield paused
    finally:
        ShardingPropagator._propagate_tensor_meta_non_cached = original  # type: ignore[method-assign]
