"""Blind predictors, on answers small enough to be checked by eye."""

import torch
from torch import nn

from gonogo.instruments.evaluation import baselines

ANSWER = torch.tensor([[1.0, 2.0], [3.0, 6.0], [5.0, 1.0]])


def test_the_constant_predictor_says_the_mean_everywhere():
    assert baselines.constant(ANSWER, 0).equal(torch.tensor([[3.0, 3.0]]).expand(3, 2))
    assert baselines.constant(ANSWER.T, 1).equal(torch.tensor([[3.0], [3.0]]).expand(2, 3))


def test_exchanged_answers_are_those_of_other_rows():
    new = baselines.exchanged(ANSWER, 0)
    assert not (new == ANSWER).all(1).any()
    assert sorted(new.tolist()) == sorted(ANSWER.tolist())


def test_a_reordered_answer_keeps_the_values_of_its_row():
    new = baselines.reordered(ANSWER, 0)
    assert new.sort(1).values.equal(ANSWER.sort(1).values)


def test_only_outputs_with_a_row_per_sample_are_replaced():
    model = nn.Identity()
    with baselines.answering(model, baselines.constant, lambda: 3) as seen:
        rows, total = model((ANSWER, torch.tensor(7.0)))
    assert seen.count == 1
    assert rows.equal(baselines.constant(ANSWER, 0))
    assert float(total) == 7.0
