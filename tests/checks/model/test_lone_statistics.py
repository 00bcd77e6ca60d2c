"""Batches of one, under several kinds of normalisation."""

import pytest
import torch
from torch import nn

from gonogo.checks.model.lone_statistics import lone_statistics
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject


def verdict(norm, rows):
    sizes = rows if isinstance(rows, list) else [rows] * 3
    given = Subject(
        "by hand",
        model=lambda: nn.Sequential(nn.Conv1d(2, 4, 3), norm()),
        loss=lambda model, x: model(x).square().mean(),
        splits={"train": lambda: [torch.randn(n, 2, 9) for n in sizes]},
    )
    return answer(lone_statistics.check, given).status


@pytest.mark.parametrize(
    ("norm", "rows", "expected"),
    [
        (lambda: nn.BatchNorm1d(4), 1, Status.WARN),
        (lambda: nn.BatchNorm1d(4), 8, Status.PASS),
        (lambda: nn.BatchNorm1d(4), [1, 8, 8], Status.PASS),
        (lambda: nn.GroupNorm(2, 4), 1, Status.SKIP),
        (lambda: nn.BatchNorm1d(4, track_running_stats=False), 1, Status.SKIP),
    ],
)
def test_only_running_statistics_of_one_sample_at_a_time_are_warned_about(norm, rows, expected):
    assert verdict(norm, rows) is expected
