"""Answers held fixed, on models made by hand."""

import torch
from torch import nn

from gonogo.instruments.answers.frozen_answers import answering, answers, equal, neighbours, value
from gonogo.training.session import Session
from gonogo.training.subject import Subject


def session(loss):
    return Session(Subject("by hand", model=lambda: nn.Linear(2, 1), loss=loss, splits={"train": list}))


def two_calls(model, batch):
    return (model(batch["x"]) - 2 * model(2 * batch["x"]) + batch["y"]).mean()


def test_calls_are_answered_in_turn_whatever_goes_in():
    here = session(two_calls)
    batch = {"x": torch.randn(3, 2), "y": torch.zeros(3, 1)}
    given = answers(here, here.model, batch)
    assert len(given) == 2
    with answering(here.model, given):
        other = {"x": 5 + batch["x"], "y": batch["y"]}
        assert value(here, here.model, other) == value(here, here.model, batch)
        assert value(here, here.model, {**other, "y": batch["y"] + 1}) != value(here, here.model, batch)
    assert value(here, here.model, {"x": 5 + batch["x"], "y": batch["y"]}) != value(here, here.model, batch)


def test_every_second_row_is_replaced_by_the_next():
    assert neighbours(5) == [1, 1, 3, 3, 4]


def test_equal_means_bit_for_bit_and_in_the_same_places():
    assert equal({"a": [torch.ones(2)]}, {"a": [torch.ones(2)]})
    assert not equal({"a": torch.ones(2)}, {"b": torch.ones(2)})
    assert not equal({"a": torch.ones(2)}, {"a": torch.ones(3)})
