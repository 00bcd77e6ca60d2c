"""Every allocation and release of a traced step, in order, with the operator, phase and module that asked for it."""

import bisect
import contextlib
import weakref
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._guards import active_fake_mode
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._sharding_prop import ShardingPropagator
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gonogo.sizing.card import bounds, fake_card, kernels
from gonogo.sizing.card.history import History

_aten = torch.ops.aten
_next_node = torch._C._autograd._get_sequence_nr  # type: ignore[attr-defined]
_WAIT = torch.ops._c10d_functional.wait_tensor.default
GATHERED = "gathered weights"
_RUNNING: list["Tape"] = []


@contextlib.contextmanager
def unseen() -> Iterator[None]:
    """Within, nothing is recorded: what is done once on the host before training, and then put on the card."""
    before = [(tape, tape._paused) for tape in _RUNNING]
    for tape, _ in before:
        tape._paused = True
    try:
        yield
    finally:
        for tape, paused in before:
            tape._paused = paused


def label(tensor: Tensor, kind: str) -> None:
    """Say to the tapes that run what a tensor is."""
    for tape in _RUNNING:
        tape.label(tensor, kind)


class Tape(TorchDispatchMode):
    """Records into `history` while it is on.

    Attributes:
        history: What happened, as plain data.
        phase: What the step is doing; "backward" is recognised by itself.
        guesses: Places where the program asked for a value that a tensor without bytes cannot have; 1 was answered.
        bounded: Operators whose result is as large as the values say, and the largest size was taken.
    """

    def __init__(self, model: nn.Module | None = None, *, workspace: int = 0) -> None:
        super().__init__()
        self.history, self.phase, self.guesses = History(), "build", dict[str, int]()
        self.bounded: dict[str, int] = {}
        self._device, self._workspace = fake_card.DEVICE, workspace
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()  # of storages
        self._operator, self._paused, self._worked = "", False, set[tuple[str, int]]()
        self._names: dict[int, str] = {}
        self._stack: list[str] = []
        self._marks: list[tuple[int, str]] = [(-1, "")]  # number of the next autograd node when a module began or ended
        self._exit = contextlib.ExitStack()
        if model is not None:
            self.watch(model)

    def watch(self, model: nn.Module) -> None:
        """Name the modules of a model in what follows; its parameters and buffers are on the card already."""
        self._names |= {id(module): name for name, module in model.named_modules()}
        for kind, tensors in (("weights", model.parameters()), ("buffers", model.buffers())):
            for tensor in tensors:
                self.label(tensor, kind)
        for tensor in (value for module in model.modules() for value in vars(module).values()):
            if isinstance(tensor, Tensor):
                self.label(tensor, "buffers")

    def label(self, tensor: Tensor, kind: str) -> None:
        """Say what a tensor is; one that was there before the tape began is taken into account now."""
        local = tensor.to_local() if isinstance(tensor, DTensor) else tensor
        self._see(local)
        number = self._numbers.get(local.untyped_storage())
        if number is not None:
            self.history.kinds[number] = kind

    def __enter__(self) -> "Tape":
        self._mode = active_fake_mode()
        self._exit.enter_context(_patched(torch.UntypedStorage, "resize_", self._resizing))
        self._exit.enter_context(_patched(ShardingPropagator, "_propagate_tensor_meta_non_cached", self._quiet))
        _RUNNING.append(self)
        self._exit.callback(_RUNNING.remove, self)
        self._exit.callback(register_module_forward_pre_hook(self._enter_module).remove)
        self._exit.callback(register_module_forward_hook(self._leave_module, always_call=True).remove)
        return super().__enter__()

    def __exit__(self, *args: Any) -> None:
        self._exit.close()
        super().__exit__(*args)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if any(kind is DTensor for kind in types):
            return NotImplemented  # it comes again with the local shards
        if self._paused or active_fake_mode() is not self._mode:
            return func(*args, **kwargs)
        if func is _WAIT:
            return args[0]
        if _composite(func):  # inference hands composite operators over whole
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        return self._run(func, args, kwargs)

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        self._operator = str(func)
        self.history.operators += 1
        if self._backward:
            func = kernels.IN_PLACE.get(func, func)
        self._take_workspace(func, args)
        try:
            result = func(*args, **kwargs)
        except DataDependentOutputException:
            if func is not _aten._local_scalar_dense.default:
                raise
            return self._guess(args[0])
        except DynamicOutputShapeException:
            result = self._bound(func, args, kwargs)
        for leaf in tree_leaves(result):
            self._see(leaf)
        hidden = [self.history.allocate(size, **self._where) for size in kernels.hidden_bytes(func, args)]
        for number in hidden:
            self.history.release(number)
        return result

    @property
    def _backward(self) -> bool:
        return torch._C._current_graph_task_id() != -1

    @property
    def at(self) -> str:
        """Where the program is, in words."""
        where = self._where
        module = f" of {where['module']}" if where["module"] else ""
        return f"{where['operator'] or 'before any operator'} in {where['phase']}{module}"

    @property
    def _where(self) -> dict[str, Any]:
        phase = "backward" if self._backward else self.phase
        return {"operator": self._operator, "phase": phase, "module": self._module(), "stream": fake_card.stream()}

    def _module(self) -> str:
        if not self._backward or self._stack:  # a checkpointed layer runs forward within backward
            return self._stack[-1] if self._stack else ""
        node = torch._C._current_autograd_node()
        number = node._sequence_nr() if node is not None else -1
        return self._marks[bisect.bisect_right(self._marks, (number, "\uffff")) - 1][1]

    def _enter_module(self, module: nn.Module, inputs: Any) -> None:
        name = self._names.get(id(module))
        if name is not None:
            self._stack.append(name)
            self._mark()

    def _leave_module(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if id(module) in self._names and self._stack:
            self._stack.pop()
            self._mark()

    def _mark(self) -> None:
        self._marks.append((_next_node(), self._stack[-1] if self._stack else ""))

    def _see(self, leaf: Any) -> None:
        if not isinstance(leaf, Tensor) or leaf.device.type != self._device:
            return
        storage = leaf.untyped_storage()
        if storage not in self._numbers and storage.nbytes():
            self._follow(storage, storage.nbytes())

    def _follow(self, storage: Any, size: int) -> None:
        number = self._numbers[storage] = self.history.allocate(size, **self._where)
        weakref.finalize(storage, self.history.release, number)

    def _resizing(self, original: Any) -> Any:
        def resize(storage: Any, size: int) -> None:
            number = self._numbers.pop(storage, None)
            original(storage, size)
            if number is not None:
                self.history.release(number)
                if size:
                    self._operator = "gathering weights (resize_)"
                    self._follow(storage, size)
                    self.history.kinds[self._numbers[storage]] = GATHERED
                else:  # FSDP gives unsharded weights back this way, and fills the same storage again later
                    self._numbers[storage] = number
                    self.history.kinds[number] = GATHERED

        return resize

    def _quiet(self, original: Any) -> Any:
        def propagate(propagator: Any, *args: Any, **kwargs: Any) -> Any:
            before, self._paused = self._paused, True  # shapes of whole tensors are no memory
            try:
                return original(propagator, *args, **kwargs)
            finally:
                self._paused = before

        return propagate

    def _take_workspace(self, func: Any, args: Any) -> None:
        key = ("backward" if self._backward else "forward", fake_card.stream())  # one for each thread and stream
        wanted = self._workspace and func in kernels.MATMULS and args[0].device.type == self._device
        if wanted and key not in self._worked:
            self._worked.add(key)
            number = self.history.allocate(self._workspace, **self._where)
            self.history.kinds[number] = "library workspaces"

    def _bound(self, func: Any, args: Any, kwargs: Any) -> Any:
        place = self._module() or self.phase
        result = bounds.largest(func, args, kwargs)
        self.bounded[f"{func} in {place}"] = self.bounded.get(f"{func} in {place}", 0) + 1
        return result

    def _guess(self, tensor: Tensor) -> Any:
        place = self._module() or self.phase
        self.guesses[place] = self.guesses.get(place, 0) + 1
        return True if tensor.dtype == torch.bool else 1.0 if tensor.dtype.is_floating_point else 1


@cache
def _composite(operator: Any) -> bool:
    """Is it made of others on every device? What has a kernel of its own on a CPU has one on a card."""
    if operator.namespace == "prim":
        return False
    name = operator.name()
    made_of_others = torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd")
    return made_of_others and not torch._C._dispatch_has_kernel_for_dispatch_key(name, "CPU")


@contextlib.contextmanager
def _patched(owner: Any, name: str, wrapping: Any) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, wrapping(original))
    try:
        yield
    finally:
        setattr(owner, name, original)
