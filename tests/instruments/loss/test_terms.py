"""The terms of a loss are read off its graph; their pulls add up to its gradient."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.instruments.loss.terms import Scalars, Term, pulls, terms


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(4, 3)


X, LABEL, VALUE = torch.randn(8, 4), torch.arange(8) % 3, torch.randn(8, 3)


def taken(model: nn.Module, loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, list[Term]]:
    with Scalars() as scalars:
        total = loss(model(X))
    found = terms(total, scalars.made)
    return total, pulls(total, scalars.made, list(model.parameters()), [True] * len(found))


def weighted(out: Tensor) -> Tensor:
    total = torch.zeros(())
    total = total + functional.cross_entropy(out, LABEL)
    total += 0.5 * (out.pow(2).mean() / 2)
    return total - (out.softmax(-1) * out.log_softmax(-1)).sum(-1).mean()


def test_terms_are_named_by_function_and_line_and_have_their_weights(model: nn.Module):
    _, found = taken(model, weighted)
    assert [term.name for term in found] == ["cross_entropy", "mean", "mean"]
    assert [term.weight for term in found] == [1.0, 0.25, -1.0]
    assert all(term.place.startswith("test_terms.py:") for term in found)


@pytest.mark.parametrize(
    "loss",
    [
        weighted,
        lambda out: torch.stack([functional.cross_entropy(out, LABEL), out.abs().mean()]).mean(),
        lambda out: functional.mse_loss(out, VALUE) * 3 + functional.cross_entropy(out, LABEL),
    ],
)
def test_pulls_add_up_to_the_gradient(model: nn.Module, loss: Any):
    total, found = taken(model, loss)
    total.backward()
    for place, parameter in enumerate(model.parameters()):
        sum_of_pulls = torch.stack([one for term in found if (one := term.pull[place]) is not None]).sum(0)
        assert parameter.grad is not None
        assert torch.allclose(sum_of_pulls, parameter.grad, atol=1e-6)


def test_the_mean_of_stacked_scalars_is_taken_apart(model: nn.Module):
    _, found = taken(model, lambda out: torch.stack([out[:, k].pow(2).mean() for k in range(3)]).mean())
    assert [term.weight for term in found] == pytest.approx([1 / 3] * 3)
    assert len({term.group for term in found}) == 1


def test_an_error_of_three_columns_is_three_terms(model: nn.Module):
    _, found = taken(model, lambda out: functional.mse_loss(out, VALUE))
    assert [term.name for term in found] == [f"mse_loss, column {k}" for k in range(3)]


def test_one_loss_function_is_one_term(model: nn.Module):
    _, found = taken(model, lambda out: functional.cross_entropy(out, LABEL))
    assert len(found) == 1


def test_a_weight_that_learns_makes_one_term_of_a_product(model: nn.Module):
    scale = nn.Parameter(torch.zeros(()))
    _, found = taken(model, lambda out: (-scale).exp() * functional.cross_entropy(out, LABEL) + scale.abs())
    assert [term.name for term in found] == ["mul", "abs"]
