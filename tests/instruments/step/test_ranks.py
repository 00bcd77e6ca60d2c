"""Simulated ranks against the sums that real ones would have."""

import os
import sys

import pytest
import torch
import torch.distributed as dist

from gonogo.errors import NotApplicable
from gonogo.instruments.step import ranks


def test_exchanges_that_depend_on_exchanges_settle():
    def act(rank):
        total = torch.tensor([rank + 1.0])
        dist.all_reduce(total)
        share = torch.tensor([rank / total.item()])
        dist.all_reduce(share, op=dist.ReduceOp.MAX)
        return total.item(), share.item()

    assert ranks.simulate(3, act).results == [(6.0, pytest.approx(1 / 3))] * 3


def test_gathered_tensors_and_objects_come_in_the_order_of_the_ranks():
    def act(rank):
        tensors, objects = [torch.zeros(2) for _ in range(2)], [None, None]
        dist.all_gather(tensors, torch.full((2,), float(rank)))
        dist.all_gather_object(objects, {"rank": rank})
        dist.barrier()
        return torch.stack(tensors)[:, 0].tolist(), objects

    assert ranks.simulate(2, act).results == [([0.0, 1.0], [{"rank": 0}, {"rank": 1}])] * 2


def test_broadcast_gives_all_ranks_what_the_root_has():
    def act(rank):
        value = torch.tensor([float(rank)])
        dist.broadcast(value, src=1)
        return value.item()

    assert ranks.simulate(2, act).results == [1.0, 1.0]


def test_what_cannot_be_simulated_is_refused():
    with pytest.raises(NotApplicable, match="cannot be simulated"):
        ranks.simulate(2, lambda rank: dist.reduce(torch.ones(1), dst=0))


def test_a_group_that_was_there_comes_back(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    hook, environment = sys.excepthook, dict(os.environ)
    try:
        assert ranks.simulate(2, lambda rank: dist.get_world_size()).results == [2, 2]
        assert dist.get_world_size() == 1
        dist.all_reduce(torch.ones(1))
        assert (sys.excepthook, dict(os.environ)) == (hook, environment)
    finally:
        dist.destroy_process_group()
