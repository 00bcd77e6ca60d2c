"""Which rows of a batch a step learns from: steps that leave some out for a reason first."""

from dataclasses import replace

import torch
from torch.nn import functional

from gonogo.checks.gradient.row_coverage import row_coverage
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS


def status(backward, **changes):
    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = backward(model, batch)
        optimizer.step()
        return value

    return answer(row_coverage.check, replace(TOYS["regressor"](), step=step, **changes)).status


def on(rows):
    def backward(model, batch):
        loss = functional.mse_loss(model(batch[0][rows]).squeeze(-1), batch[1][rows])
        loss.backward()
        return loss.item()

    return backward


def test_a_step_that_takes_the_whole_batch_is_fine():
    assert status(on(slice(None))) is Status.PASS


def test_shards_of_a_simulated_world_cover_the_batch():
    def backward(model, batch):
        return sum(on(slice(rank, None, 3))(model, batch) for rank in range(3))

    assert status(backward) is Status.PASS


def test_the_hardest_rows_alone_may_be_learned_from():
    def backward(model, batch):
        errors = (model(batch[0]).squeeze(-1) - batch[1]).square()
        loss = errors.topk(len(errors) // 4).values.mean()
        loss.backward()
        return loss.item()

    assert status(backward) is not Status.FAIL


def test_a_random_part_of_the_rows_is_another_one_each_time():
    def backward(model, batch):
        return on(torch.randperm(len(batch[1]))[: len(batch[1]) // 2])(model, batch)

    assert status(backward) is Status.PASS


def test_rows_that_the_declared_loss_does_not_count_are_nobodys_loss():
    def loss(model, batch):
        return functional.mse_loss(model(batch[0][:8]).squeeze(-1), batch[1][:8])

    assert status(on(slice(0, 8)), loss=loss) is Status.PASS


def test_every_worker_taking_the_first_shard_is_found():
    def backward(model, batch):
        return sum(on(slice(0, None, 4))(model, batch) for _ in range(4))

    assert status(backward) is Status.FAIL


def test_a_step_on_data_of_its_own_is_not_asked():
    x, y = torch.randn(16, 8), torch.randn(16)
    assert status(lambda model, batch: on(slice(None))(model, (x, y))) is Status.SKIP
