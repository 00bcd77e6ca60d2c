"""What is missing, and what only looks so."""

from typing import Any

import pytest
import torch

from gonogo.checks.data.missing_values import missing_values
from gonogo.core.criterion import Status
from gonogo.core.measurement import Observation
from gonogo.errors import SubjectError
from gonogo.training.claims import Claims
from gonogo.training.session import Session
from gonogo.training.subject import Subject

NAN, INF = torch.nan, torch.inf


def ask(*batches: Any, seconds: float = 60.0, missing: tuple[str, ...] = ()) -> Observation:
    subject = Subject("s", splits={"train": lambda: list(batches)}, claims=Claims(missing=missing))
    return missing_values(Session(subject, seconds=seconds))


def count(*batches: Any, missing: tuple[str, ...] = ()) -> float | None:
    return ask(*batches, missing=missing).measurements["missing"].value


def test_a_sample_with_two_holes_is_one_sample() -> None:
    x = torch.tensor([[NAN, 1.0], [INF, NAN], [0.0, 1.0]])
    found = ask({"x": x, "z": torch.tensor([1.0, NAN, 1.0]), "y": torch.arange(3)})
    assert found.measurements["missing"].value == 2
    assert found.tables[0].rows == (("train", "x", 0, 2), ("train", "x", 1, 1), ("train", "z", None, 1))


def test_additive_masks_are_no_holes() -> None:
    causal = torch.full((3, 3), -INF).triu(1)
    batch = {"x": torch.ones(2, 3), "attention": causal.expand(2, 3, 3), "y": torch.ones(2)}
    assert count(batch) == 0


def test_a_mask_with_nan_and_a_feature_with_log_of_zero_are_holes() -> None:
    assert count({"x": torch.tensor([[0.0, NAN]]), "y": torch.ones(1)}) == 1
    assert count({"x": torch.tensor([[2.0, -INF]]), "y": torch.ones(1)}) == 1
    assert count({"x": torch.tensor([[-INF, -INF]]), "y": torch.ones(1)}) == 1


def test_a_mask_that_is_all_open_in_the_first_batch_is_still_a_mask() -> None:
    batches = [{"open": torch.tensor([[0.0, low]]), "y": torch.ones(1)} for low in (0.0, -INF)]
    assert count(*batches) == 0


def test_declared_holes_are_left_out_by_prefix() -> None:
    batch = {"audio": {"f0": torch.tensor([NAN, 1.0])}, "y": torch.ones(2)}
    assert (count(batch), count(batch, missing=("audio",))) == (1, 0)


def test_integers_and_texts_are_left_alone() -> None:
    assert count({"x": torch.arange(4), "text": ["nan"] * 4, "y": torch.ones(4)}) == 0


def test_an_unfinished_reading_is_inconclusive_unless_something_was_found() -> None:
    criterion = missing_values.check.criteria[0]  # type: ignore[attr-defined]
    good, bad = (torch.ones(2, 1), torch.ones(2)), (torch.tensor([[NAN], [1.0]]), torch.ones(2))
    assert criterion.judge(ask(good, bad, seconds=0).measurements["missing"]).status is Status.WARN
    assert criterion.judge(ask(bad, good, seconds=0).measurements["missing"]).status is Status.FAIL


def test_an_empty_split_is_no_clean_one() -> None:
    with pytest.raises(SubjectError, match="has no batch"):
        ask()
