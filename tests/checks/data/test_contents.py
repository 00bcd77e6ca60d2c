"""Warnings about contents: what is odd but right stays silent."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from gonogo.checks.data.default_samples import default_samples
from gonogo.checks.data.order import order
from gonogo.checks.data.preprocessing import preprocessing
from gonogo.checks.data.target_in_input import target_in_input
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

CHECKS: list[Any] = [function.check for function in (default_samples, order, preprocessing, target_in_input)]  # type: ignore[attr-defined]
torch.manual_seed(0)
X, Y = torch.randn(160, 6), torch.randint(3, (160,))


def ask(train: Any, valid: Any = None) -> dict[str, Status]:
    subject = Subject("s", splits={"train": lambda: train, "valid": lambda: valid or train})
    return {check.id.removeprefix("data."): answer(check, subject).status for check in CHECKS}


def rows(*parts: Tensor, **settings: Any) -> DataLoader[Any]:
    return DataLoader(TensorDataset(*parts), 16, **{"shuffle": True, **settings})


def rare(share: float) -> Tensor:
    return (torch.arange(160) < 160 * share).long()[torch.randperm(160)]


@pytest.mark.parametrize(
    "train",
    [
        rows(X, Y),
        rows(X, rare(0.1)),
        rows(X, Y, shuffle=False),
        rows(X, X),
        rows(X, X[:, 0] > 0),
        rows(X[:, :1], 2 * X[:, 0]),
        rows(X, X.sum(1)),
        rows(torch.randint(9, (160, 5)), torch.randint(9, (160, 5))),
        rows(torch.randint(2, (160, 3)).float(), Y),
        rows(X, rare(0.05), shuffle=False, sampler=WeightedRandomSampler((1 + 19 * rare(0.05)).tolist(), 160)),
        rows(X[torch.arange(160) % 16], Y),
    ],
)
def test_what_is_odd_but_right_is_not_mentioned(train):
    assert set(ask(train).values()) <= {Status.PASS, Status.SKIP}


def test_a_copied_target_fails_and_so_do_its_classes_as_zeros_and_ones():
    ones = torch.nn.functional.one_hot(Y).float()
    for train in (rows(torch.cat([X, Y[:, None].float()], 1), Y), rows(torch.cat([X, ones], 1), Y)):
        assert ask(train)["target-in-input"] is Status.FAIL


def test_sorted_classes_other_scales_and_default_samples_are_warnings():
    assert ask(rows(X, Y.sort().values, shuffle=False))["order"] is Status.WARN
    assert ask(rows(X, Y), rows(255 * X, Y))["preprocessing"] is Status.WARN
    broken = torch.where((torch.arange(160) % 9 == 4)[:, None], X[0], X)
    assert ask(rows(broken, Y))["default-samples"] is Status.WARN


def test_a_trend_that_goes_on_in_valid_is_no_other_preprocessing():
    series = torch.linspace(0, 4, 240)[:, None] + 0.5 * torch.randn(240, 6)
    assert ask(rows(series[:160], Y), rows(series[160:], Y[:80]))["preprocessing"] is Status.PASS
    assert ask(rows(series[:160], Y), rows(series[160:] + 20, Y[:80]))["preprocessing"] is Status.WARN


def test_a_rare_class_in_random_order_is_not_called_sorted():
    def warned(seed):
        torch.manual_seed(seed)
        return ask(rows(X, rare(0.05)))["order"] is Status.WARN

    assert not any(warned(seed) for seed in range(20))
