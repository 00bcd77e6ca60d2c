"""One rank of several, against torch's own sharding and bucketing."""

import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sizing.small_programs import WIDTH, Block, Language, kinds, language, parameters, peak, traced, under
from torch import nn
from torch.testing._internal.distributed.fake_pg import FakeStore

from gonogo.sizing.strategies import sharding


@pytest.fixture
def group():
    """A process group of two ranks that are not there."""
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    yield
    dist.destroy_process_group()


def test_a_rank_of_ddp_has_everything_and_the_gradients_once_more():
    assert kinds("ddp", 2)["communication buffers"] == 4 * parameters()
    assert kinds("ddp", 2)["optimizer states"] == kinds("", 1)["optimizer states"]


def test_buckets_are_those_of_torch():
    model = nn.Sequential(*(nn.Linear(700, 1500) for _ in range(20)))
    learning = [one for one in model.parameters()]
    limits = [sharding.FIRST_BUCKET, sharding.BUCKET]
    expected, _ = dist._compute_bucket_assignment_by_size(learning[::-1], limits, [False] * len(learning))
    sizes = [sum(learning[::-1][number].numel() for number in bucket) for bucket in expected]
    assert [size for size, _ in sharding.buckets(model)] == sizes


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_parameters_are_dealt_out_as_torch_does(group):
    from torch.distributed.optim import ZeroRedundancyOptimizer

    model = Language()
    real = ZeroRedundancyOptimizer(model.parameters(), torch.optim.AdamW)._partition_parameters()
    theirs = [sum(one.numel() for group in rank for one in group["params"]) for rank in real]
    ours = [sum(one.numel() for one in rank) for rank in sharding.partition(model.parameters(), 2)]
    assert sorted(ours) == sorted(theirs)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30), st.integers(1, 8))
def test_shares_add_up_to_the_whole(sizes, ranks):
    shares = sharding.partition([torch.empty(size, device="meta") for size in sizes], ranks)
    assert sum(one.numel() for share in shares for one in share) == sum(sizes)


@pytest.mark.parametrize("gpus", [2, 4, 8])
def test_shards_of_fsdp_add_up_to_the_whole(gpus):
    whole, rank = kinds(""), kinds("fsdp", gpus)
    for kind in ("weights", "gradients", "optimizer states"):
        assert rank[kind] * gpus == whole[kind]


@pytest.mark.parametrize("more", ["", ",bf16", ",checkpointing"])
def test_each_stage_of_sharding_keeps_less(more, monkeypatch):
    monkeypatch.setattr(sharding, "BUCKET", 1 << 10)
    static = [sum(kinds(f"{stage}{more}", 4).values()) for stage in ("ddp", "zero1", "zero2", "fsdp")]
    assert static == sorted(static, reverse=True)
    assert len(set(static)) == 4


def test_an_update_of_shards_takes_what_one_of_distributed_tensors_takes(monkeypatch):
    fast = peak("fsdp,adamw-foreach", 2)
    monkeypatch.setattr(sharding, "with_optimizers", lambda program, change: program)
    assert peak("fsdp,adamw-foreach", 2) == fast


def test_gathered_weights_of_a_block_are_given_back():
    history = traced("fsdp,checkpointing", 2).history
    gathered = [number for number, kind in history.kinds.items() if kind == "gathered weights"]
    block = 4 * sum(one.numel() for one in Block().parameters())
    assert len(gathered) > 4
    [_, (second, _)] = history.marks
    assert not any(history.allocations[number].size > block for number in history.live_at(second - 1) & set(gathered))


def test_accumulation_adds_to_shards():
    assert peak("fsdp,checkpointing,micro-batch=64,accumulate=2", 2) > peak("fsdp,checkpointing,micro-batch=64", 2)


@pytest.mark.parametrize("gpus", [1, 2])
def test_offloaded_parameters_leave_nothing_between_steps(gpus):
    found = kinds("offload-parameters" + (",fsdp" if gpus > 1 else ""), gpus)
    assert not {"weights", "gradients", "optimizer states"} & found.keys()


def test_master_weights_under_fsdp_are_its_shards():
    found = kinds("fsdp,master", 2)
    assert found["weights"] + found["gradients"] + found["optimizer states"] == 8 * parameters()


def test_master_weights_of_others_are_not_kept_under_zero1():
    assert kinds("zero1,master", 4)["optimizer states"] < 12 * parameters() / 2


def test_weights_tied_across_blocks_stay_with_the_whole():
    model = nn.Sequential(*(Block() for _ in range(3)))
    model[2].up.weight = model[0].up.weight
    assert sharding._apart(model) == [model[1]]


def test_no_process_group_is_left_behind():
    under("fsdp", 2).trace(steps=1)
    assert not dist.is_initialized()


def test_ranks_cannot_be_simulated_within_a_real_group(group):
    with pytest.raises(sharding.SubjectError, match="process group"):
        under("fsdp", 2).trace(steps=1)


def test_static_memory_of_a_rank_needs_no_forward_pass():
    assert under("fsdp", 2).static_bytes() == pytest.approx(16 * parameters() / 2, rel=0.01)
    assert under("ddp", 2, language()).static_bytes() == pytest.approx(20 * parameters(), rel=0.01)
    assert WIDTH % 8 == 0  # shards are even
