"""Several ranks of a distributed run, one after the other in this process.

torch's fake process group tells each rank its number and the size of the world; what ranks send each other is noted,
and handed out when the same step is taken again, until nothing that is sent changes any more. So no process is
started, no port opened, and the random generators are as in any other measurement.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import GradBucket
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from gonogo.errors import NotApplicable

T = TypeVar("T")
Sent = list[list[Tensor]]  # by collective: the tensors that one rank gave
_PASSES = 8  # a loss that waits for a count, a norm that waits for the gradients, and some more
_STATE = ("_world", "_pg_map", "_pg_names", "_pg_group_ranks", "_pg_backend_config", "_tags_to_pg", "_pg_to_tag")
_REDUCE: tuple[tuple[Any, Callable[[Tensor], Tensor]], ...] = (
    (dist.ReduceOp.SUM, lambda all_: all_.sum(0).to(all_.dtype)),
    (dist.ReduceOp.AVG, lambda all_: all_.mean(0)),
    (dist.ReduceOp.MAX, lambda all_: all_.amax(0)),
    (dist.ReduceOp.MIN, lambda all_: all_.amin(0)),
    (dist.ReduceOp.PRODUCT, lambda all_: all_.prod(0).to(all_.dtype)),
)


class World:
    """What the ranks gave, and what came of each."""

    def __init__(self, results: list[Any], sent: list[Sent]) -> None:
        self.results, self.sent = results, sent

    @property
    def exchanges(self) -> bool:
        """Was any number exchanged?"""
        return any(t.numel() for one in self.sent for tensors in one for t in tensors)

    @property
    def size(self) -> int:
        """How many numbers each rank gave, at least."""
        return min(sum(t.numel() for tensors in one for t in tensors) for one in self.sent)

    @property
    def matched(self) -> bool:
        """Did all ranks make as many exchanges of the same sizes? Others would wait for each other for ever."""
        sizes = [[[t.shape for t in tensors] for tensors in one] for one in self.sent]
        return all(each == sizes[0] for each in sizes)

    @property
    def alike(self) -> bool:
        """Did all ranks give the same?"""
        return self.matched and all(_same(self.sent[0], other) for other in self.sent)


def simulate(size: int, act: Callable[[int], T]) -> World:
    """The world in which each rank does `act(rank)`, which must build all that it uses.

    Raises:
        NotApplicable: The ranks use what cannot be simulated, or never agree.
    """
    sent: list[Sent] = [[] for _ in range(size)]
    for _ in range(_PASSES):
        before, sent, results = sent, [], []
        for rank in range(size):
            exchange = _Exchange(rank, before)
            with _group(rank, size), exchange:
                results.append(act(rank))
            sent.append(exchange.given)
        if all(_same(old, new) for old, new in zip(before, sent, strict=True)):
            return World(results, sent)
        if not World(results, sent).matched:
            return World(results, sent)
    raise NotApplicable("what the ranks send each other does not settle")


def attach(model: nn.Module) -> None:
    """Let the gradients that DistributedDataParallel averages pass through the simulated exchange."""
    for module in model.modules():
        if isinstance(module, DistributedDataParallel):
            module.register_comm_hook(dist.get_world_size(), _averaged)


def _averaged(size: int, bucket: GradBucket) -> torch.futures.Future[Tensor]:
    buffer = bucket.buffer()
    dist.all_reduce(buffer)
    done: torch.futures.Future[Tensor] = torch.futures.Future()
    done.set_result(buffer / size)
    return done


def _same(one: Sent, two: Sent) -> bool:
    flat = [[t for tensors in sent for t in tensors] for sent in (one, two)]
    return (
        len(one) == len(two)
        and [t.shape for t in flat[0]] == [t.shape for t in flat[1]]
        and all(torch.equal(a, b) for a, b in zip(*flat, strict=True))
    )


class _Exchange(TorchDispatchMode):
    """Stands between a rank and the others, whose tensors are those of the pass before."""

    def __init__(self, rank: int, before: list[Sent]) -> None:
        super().__init__()
        self.rank, self.before = rank, before
        self.given: Sent = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "_c10d_functional":
            raise NotApplicable("functional collectives cannot be simulated")
        out = func(*args, **(kwargs or {}))  # the fake group copies one's own tensors, and is corrected after it
        if func.namespace == "c10d":
            group = next((a for a in args if "ProcessGroup" in str(getattr(a, "_type", lambda: "")())), None)
            if group is not None and dist.ProcessGroup.unbox(group).size() != len(self.before):
                raise NotApplicable("groups of some of the ranks cannot be simulated")
            self._collective(func.__name__.split(".")[0], args)
        return out

    def _collective(self, name: str, args: Any) -> None:
        act = {
            "barrier": lambda: self._all([]),
            "allreduce_": lambda: self._reduce(args[0], args[2]),
            "allreduce_coalesced_": lambda: self._reduce(args[0], args[2]),
            "broadcast_": lambda: _write(args[0], self._all(args[0])[args[2]]),
            "allgather_": lambda: _write(args[0][0], [each[0] for each in self._all(args[1])]),
            "_allgather_base_": lambda: _write(
                [args[0]], [torch.cat([e[0].reshape(-1) for e in self._all([args[1]])])]
            ),
        }.get(name)
        if act is None:
            raise NotApplicable(f"the collective {name.strip('_')} cannot be simulated")
        act()

    def _reduce(self, tensors: list[Tensor], operation: Any) -> None:
        given = self._all(tensors)
        _write(tensors, [_reduction(operation.op())(torch.stack(list(each))) for each in zip(*given, strict=True)])

    def _all(self, tensors: list[Tensor]) -> Sent:
        """What each rank gives to this exchange; what is not known yet is like one's own."""
        mine, place = [t.detach().clone() for t in tensors], len(self.given)
        self.given.append(mine)
        shapes = [t.shape for t in mine]
        others = [sent[place] if place < len(sent) else mine for sent in self.before]
        known = [mine if [t.shape for t in each] != shapes else each for each in others]
        return [mine if rank == self.rank else each for rank, each in enumerate(known)]


def _write(places: list[Tensor], values: list[Tensor]) -> None:
    for place, value in zip(places, values, strict=True):
        place.copy_(value.view_as(place))


def _reduction(operation: Any) -> Callable[[Tensor], Tensor]:
    for known, reduce in _REDUCE:
        if operation == known:
            return reduce
    raise NotApplicable(f"the reduction {operation} cannot be simulated")


@contextmanager
def _group(rank: int, size: int) -> Iterator[None]:
    """A default process group of that size; the one that was there, and the environment, come back."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    library: Any = dist.distributed_c10d
    kept = {name: getattr(library, name) for name in (*_STATE, "_group_count")}
    functions = {n: getattr(dist, n) for n in ("init_process_group", "destroy_process_group")}
    hook = sys.excepthook
    environment = {name: os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    for name in _STATE:
        setattr(library, name, type(kept[name])())
    library._group_count = 7000  # the name of a group is its number, and names are unique in a process
    try:
        dist.init_process_group("fake", rank=rank, world_size=size, store=FakeStore())
        os.environ.update({"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)})
        for name in functions:
            setattr(dist, name, lambda *_, **__: None)
        yield
    finally:
        sys.excepthook = hook  # the library's own would write the rank before each line
        for name, function in functions.items():
            setattr(dist, name, function)
        for group in library._pg_names:
            library._unregister_process_group(group.group_name)
        for name, value in kept.items():
            setattr(library, name, value)
        for name, value in environment.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
