"""The answer of a step to gradients of any size, on a model whose gradient is known."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from gonogo.errors import NotApplicable
from gonogo.instruments.step.clipping import Answer, answers, faint
from gonogo.training.session import Session
from gonogo.training.subject import Subject


def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
    optimizer.zero_grad()
    loss = (model.weight * batch).sum()  # its gradient is the batch
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def session(*row: float) -> Session:
    return Session(
        Subject(
            name="a product",
            model=lambda: nn.Linear(2, 1, bias=False),
            optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
            splits={"train": lambda: [torch.tensor([row])]},
            step=step,
        )
    )


def test_the_gradient_as_it_arrives_is_seen_below_any_limit():
    assert faint(session(30.0, 40.0)).tolist() == pytest.approx([30.0, 40.0])


def test_small_gradients_are_left_and_large_ones_cut():
    given = session(30.0, 40.0)
    small, large = answers(given, faint(given), 1.0, (0.1, 100.0))
    assert small.changed == 0.0
    assert (large.held, large.largest) == (pytest.approx(1.0, abs=1e-5), pytest.approx(0.8, abs=1e-5))
    assert large.arriving > 50.0


def test_a_gradient_of_zero_cannot_be_asked():
    with pytest.raises(NotApplicable, match="no finite gradient"):
        faint(session(0.0, 0.0))


def test_elements_that_stand_at_the_limit_are_told_from_a_norm():
    cut = Answer(1.0, 10.0, held=1.4, largest=1.0, turned=0.1, changed=0.9, rounding=0.0)
    assert cut.by_element
    assert not replace(cut, held=1.0, largest=0.8).by_element
