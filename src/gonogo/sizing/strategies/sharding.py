"""One rank of several: what data-parallel training holds on each of them, its communication buffers included."""

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, OffloadPolicy, fully_shard

from gonogo.errors import SubjectError
from gonogo.sizing.card import fake_card
from gonogo.sizing.card.tape import label
from gonogo.sizing.programs.blocks import blocks
from gonogo.sizing.programs.program import Program
from gonogo.sizing.programs.rewriting import Optimizers, local, standing_in, with_model, with_optimizers

BUCKET, FIRST_BUCKET = 25 << 20, 1 << 20  # bytes; torch's defaults
BUFFERS = "communication buffers"


def data_parallel(program: Program) -> Program:
    """Everything on every rank, and the gradients once more in the buckets that are reduced."""

    def change(model: nn.Module, found: Optimizers) -> Optimizers:
        found[0].buckets = [_buffer(sizes, dtype) for sizes, dtype in buckets(model)]  # type: ignore[attr-defined]
        return found

    return with_optimizers(program, change)


def buckets(model: nn.Module) -> list[tuple[int, torch.dtype]]:
    """(values, format) of the buckets of gradients, as torch's DistributedDataParallel groups them, last ones first."""
    parameters = [one for one in model.parameters() if one.requires_grad]
    found: list[tuple[int, torch.dtype]] = []
    for dtype in dict.fromkeys(one.dtype for one in parameters):
        values, limit = 0, FIRST_BUCKET
        for one in (one for one in reversed(parameters) if one.dtype == dtype):
            values += one.numel()
            if values * dtype.itemsize >= limit:
                found.append((values, dtype))
                values, limit = 0, BUCKET
        found += [(values, dtype)] if values else []
    return found


def _buffer(values: int, dtype: torch.dtype) -> Tensor:
    buffer = torch.empty(values, dtype=dtype, device=fake_card.DEVICE)
    label(buffer, BUFFERS)
    return buffer


def states_sharded(program: Program, gpus: int) -> Program:
    """ZeRO 1: as data-parallel, but each rank has the optimizer states of its own whole parameters alone."""

    def change(model: nn.Module, found: Optimizers) -> Optimizers:
        _own(found, gpus)
        return found

    return data_parallel(with_optimizers(program, change))


def gradients_sharded(program: Program, gpus: int) -> Program:
    """ZeRO 2: gradients of the parameters of other ranks, too, are given back as soon as they are reduced."""

    def change(model: nn.Module, found: Optimizers) -> Optimizers:
        largest = max((one for one in model.parameters() if one.requires_grad), key=lambda one: one.nbytes)
        whole = sum(values for values, _ in buckets(model))
        values, dtype = min(max(BUCKET // largest.dtype.itemsize, largest.numel()), whole), largest.dtype
        found[0].buckets = [_buffer(values, dtype) for _ in range(2)]  # type: ignore[attr-defined]
        for one in _own(found, gpus):
            one.register_post_accumulate_grad_hook(_drop)
        return found

    return with_optimizers(program, change)


def _drop(parameter: Tensor) -> None:
    parameter.grad = None


def _own(found: Optimizers, gpus: int) -> list[Tensor]:
    """Leave to the optimizers what the rank with most parameters updates; the parameters of the others.

    Each optimizer still clears the gradients of all that it had.
    """
    groups = [group for optimizer in found for group in optimizer.param_groups]
    learning = [one for group in groups for one in group["params"] if one.requires_grad]
    mine = {id(one) for one in max(partition(learning, gpus), key=lambda share: sum(one.numel() for one in share))}
    for group in groups:
        group["params"] = [one for one in group["params"] if id(one) in mine]
    others = [one for one in learning if id(one) not in mine]
    found[0].zero_grad = _clearing(found[0].zero_grad, others)  # type: ignore[method-assign]
    return others


def _clearing(clear: Callable[..., None], others: list[Tensor]) -> Callable[..., None]:
    def zero_grad(set_to_none: bool = True) -> None:
        clear(set_to_none=set_to_none)
        for one in others:
            one.grad = None

    return zero_grad


def partition(parameters: Iterable[Tensor], ranks: int) -> list[list[Tensor]]:
    """Whole parameters dealt to ranks, the largest first, each to the rank that has least."""
    shares: list[list[Tensor]] = [[] for _ in range(ranks)]
    sizes = [0] * ranks
    for one in sorted(parameters, key=lambda one: one.numel(), reverse=True):
        rank = sizes.index(min(sizes))
        shares[rank].append(one)
        sizes[rank] += one.numel()
    return shares


def fully_sharded(program: Program, gpus: int, *, mixed: bool = False, offload: bool = False) -> Program:
    """FSDP2 (ZeRO 3): torch's own `fully_shard` on each block and on the whole, one rank of a simulated group.

    Args:
        mixed: bf16 for the gathered weights, fp32 for shards and for the reduction.
        offload: Shards, gradients and states on the host.
    """
    meshes: list[DeviceMesh] = []
    policies: dict[str, Any] = {
        "mp_policy": MixedPrecisionPolicy(torch.bfloat16, torch.float32) if mixed else MixedPrecisionPolicy(),
        "offload_policy": CPUOffloadPolicy(pin_memory=False) if offload else OffloadPolicy(),
    }

    def change(model: nn.Module) -> nn.Module:
        for part in (*(block for block in _apart(model) if block is not model), model):
            fully_shard(part, mesh=meshes[-1], **policies)
        return model

    def on_shards(model: nn.Module, found: Optimizers) -> Optimizers:
        # A step on the shards themselves: the same memory as on distributed tensors, without their bookkeeping.
        return tuple(standing_in(one, lambda each: local(each.detach()), kept=False) for one in found)

    sharded = with_optimizers(with_model(program, change), on_shards)
    return replace(sharded, around=(*program.around, _ranks(gpus, meshes)))


def _apart(model: nn.Module) -> list[nn.Module]:
    """Blocks that share no parameter with what is outside of them."""
    times: dict[int, int] = {}
    for module in model.modules():
        for one in module._parameters.values():
            times[id(one)] = times.get(id(one), 0) + 1

    def alone(block: nn.Module) -> bool:
        within: dict[int, int] = {}
        for module in block.modules():
            for one in module._parameters.values():
                within[id(one)] = within.get(id(one), 0) + 1
        return all(times[number] == count for number, count in within.items() if number != id(None))

    return [block for block in blocks(model) if alone(block)]


def _ranks(gpus: int, meshes: list[DeviceMesh]) -> Callable[[], contextlib.AbstractContextManager[None]]:
    @contextlib.contextmanager
    def around() -> Iterator[None]:
        from torch.testing._internal.distributed.fake_pg import FakeStore

        if dist.is_initialized():
            raise SubjectError("ranks cannot be simulated where a process group is already there; size in one process")
        fake_card.install()
        dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=gpus)
        try:
            meshes.append(init_device_mesh(fake_card.DEVICE, (gpus,)))
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "FSDP2-wrapped module", UserWarning)  # about outputs that are views
                yield
        finally:
            meshes.clear()
            dist.destroy_process_group()

    return around
