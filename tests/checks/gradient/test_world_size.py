"""Two simulated ranks against one: the ways to be right first."""

from dataclasses import replace

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from gonogo.checks.gradient.world_size import world_size
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS


def verdict(backward, wrap=lambda model: model, toy="regressor"):
    """The verdict on a toy whose step has the gradients of `backward(model, batch)`."""

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = backward(model, batch)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return value

    subject = TOYS[toy]().map_model(wrap)
    return answer(world_size.check, replace(subject, step=step))


def squared(model, batch):
    return functional.mse_loss(model(batch[0]).squeeze(-1), batch[1])


def plain(model, batch):
    loss = squared(model, batch)
    loss.backward()
    return loss.item()


def averaged(model):
    for parameter in model.parameters():
        dist.all_reduce(parameter.grad, op=dist.ReduceOp.AVG)


def wrapped(model):
    return DistributedDataParallel(model) if dist.is_initialized() and dist.get_world_size() > 1 else model


def test_averaged_gradients_are_fine():
    def backward(model, batch):
        value = plain(model, batch)
        averaged(model)
        return value

    assert verdict(backward).status is Status.PASS


def test_distributed_data_parallel_is_fine_with_dropout_and_batch_norm():
    def deep(model):
        return wrapped(nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 1)))

    assert verdict(plain, deep).status is Status.PASS


def test_a_step_that_takes_its_own_rows_by_rank_is_fine():
    def backward(model, batch):
        rank, world = dist.get_rank(), dist.get_world_size()
        value = plain(model, [field[rank::world] for field in batch])
        averaged(model)
        return value

    assert verdict(backward).status is Status.PASS


def test_a_loss_that_is_exchanged_for_the_log_alone_is_no_failure():
    def backward(model, batch):
        value = torch.tensor(plain(model, batch))
        dist.all_reduce(value)
        return value.item()

    assert verdict(backward).status is Status.WARN


def test_a_step_without_exchange_is_not_asked():
    assert verdict(plain).status is Status.SKIP


def weighed(count):
    """Squared errors of the rows with a positive target alone: other counts on other ranks."""

    def backward(model, batch):
        kept = (batch[1] > 0).float()
        loss = ((model(batch[0]).squeeze(-1) - batch[1]).square() * kept).sum() / count(kept.sum())
        loss.backward()
        averaged(model)
        return loss.item()

    return backward


def test_sums_over_the_count_of_all_ranks_are_fine():
    def count(kept):
        total = kept.clone()
        dist.all_reduce(total)
        return total / dist.get_world_size()

    assert verdict(weighed(count)).status is Status.PASS


def test_means_over_the_count_of_each_rank_are_not():
    assert verdict(weighed(lambda kept: kept)).status is Status.FAIL


def test_a_wrapper_that_is_passed_by_leaves_the_ranks_apart():
    found = verdict(lambda model, batch: plain(getattr(model, "module", model), batch), wrapped)
    assert found.status is Status.FAIL
    assert "apart" in found.reason


def test_an_exchange_that_one_rank_does_not_make_is_a_hang():
    def backward(model, batch):
        value = plain(model, batch)
        if dist.get_rank() == 0:
            averaged(model)
        return value

    found = verdict(backward)
    assert found.status is Status.FAIL
    assert "unmatched" in found.reason


def test_the_process_is_left_without_a_group():
    verdict(plain, wrapped)
    assert not dist.is_initialized()
