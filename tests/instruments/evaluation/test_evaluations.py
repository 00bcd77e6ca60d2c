"""What is seen of an evaluation: numbers, passes, and the modes of the modules that were called."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from gonogo.instruments.evaluation import evaluations
from gonogo.testing.toys import TOYS
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@pytest.mark.parametrize(
    ("returned", "found"),
    [
        ({"loss": 1, "a": {"b": torch.tensor(2.0)}}, {"loss": 1.0, "a.b": 2.0}),
        (0.5, {"value": 0.5}),
        ((1.0, {"acc": 2}), {"0": 1.0, "1.acc": 2.0}),
        ({"name": "x", "each": torch.zeros(3), "seconds": 0.1, "samples_per_second": 3, "none": None}, {}),
    ],
)
def test_numbers_are_found_by_name_and_clocks_left_out(returned, found):
    assert evaluations.numbers(returned) == found


def test_equal_numbers_have_no_gap():
    assert evaluations.gap(2.0, 2.0) == evaluations.gap(float("nan"), float("nan")) == evaluations.gap(1e-15, 0.0) == 0
    assert evaluations.gap(1.0, 2.0) == 0.5
    assert evaluations.gap(1.0, float("nan")) == float("inf")


def test_the_loader_keeps_its_class_and_attributes():
    seen: list[Any] = []

    def evaluate(model: nn.Module, loader: Any) -> dict[str, float]:
        assert isinstance(loader, DataLoader)
        assert len(loader.dataset) == 72  # type: ignore[arg-type]
        seen.extend(loader)
        return {"n": len(loader)}

    toy = TOYS["classifier"]()
    session = Session(Subject("s", model=toy.model, splits=toy.splits, evaluate=evaluate))
    found = evaluations.evaluate(session, session.model)
    assert (found.metrics, found.passes, found.complete) == ({"n": 5.0}, [5], True)
    assert len(seen) == 5


def test_only_modes_that_change_an_answer_matter():
    toy = TOYS["multimodal"]()
    session = Session(toy)
    [batch] = session.batches("valid", limit=1)
    names = [name for name, _ in session.model.named_modules()]
    assert evaluations.where_mode_matters(session, session.model, names, batch) == ["head.2"]
    plain = Session(TOYS["classifier"]())
    [batch] = plain.batches("valid", limit=1)
    assert evaluations.where_mode_matters(plain, plain.model, [""], batch) == []
