"""Numbers that fit, and numbers that do not."""

from typing import Any

import pytest

from gonogo.checks.config.arithmetic import arithmetic
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject


def kinds(config: dict[str, Any]) -> list[Any]:
    return [row[2] for row in arithmetic(Session(Subject("s", config=config))).tables[0].rows]


SIZES = {"global_batch_size": 64, "micro_batch_size": 8, "accumulation_steps": 4}


@pytest.mark.parametrize(
    "config",
    [
        {**SIZES, "world_size": 4},
        {**SIZES, "accumulation_steps": 3},
        {"heads": 8, "num_kv_heads": 3},
    ],
)
def test_a_contradiction_is_found(config: dict[str, Any]) -> None:
    assert kinds(config) == ["contradictions"]


@pytest.mark.parametrize(
    "config",
    [
        {"hidden": 100, "heads": 8},
        {"train_fraction": 0.8, "val_fraction": 0.3},
        {"dropout": 10},
        {"betas": [0.9, 1.0]},
        {"lr": 1e-4, "min_lr": "1e-3"},
    ],
)
def test_what_may_be_meant_is_doubtful(config: dict[str, Any]) -> None:
    assert kinds(config) == ["doubtful"]


@pytest.mark.parametrize(
    "config",
    [
        {**SIZES, "world_size": 2},
        SIZES,
        {"global_batch_size": 64, "batch_size": 64, "accumulation_steps": 4},
        {"hidden": 96, "heads": 8, "num_kv_heads": 1},
        {"hidden": 100, "heads": 8, "head_dim": 16},
        {"encoder": {"hidden": 100}, "decoder": {"heads": 8, "hidden": 64}},
        {"hidden": [64, 32], "heads": 3},
        {"train_fraction": 0.8, "val_fraction": 0.2, "lr": 1},
        {"train_size": 800, "test_size": 0.3, "lr": 1},
        {**SIZES, "world_size": 8, "tensor_parallel": 4},
        {**SIZES, "num_gpus": 1, "num_nodes": 2},
        {"val_fraction": 0.6, "test_fraction": 0.6, "lr": 1},
        {"dropout": 0, "lr": 0.0, "heads": 0, "hidden": None},
        {"use_heads": True, "dropout": -1},
    ],
)
def test_healthy_numbers_are_accepted(config: dict[str, Any]) -> None:
    assert kinds(config) == []


def test_unknown_names_are_not_judged() -> None:
    with pytest.raises(NotApplicable):
        kinds({"a": 3})
