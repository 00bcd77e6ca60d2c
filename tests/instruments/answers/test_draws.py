"""Every draw is counted, from generators of one's own as well; what only may draw is not."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader

from gonogo.instruments.answers.draws import Draws

X = torch.randn(4, 4, 8)


def own() -> torch.Tensor:
    return torch.randn(3, generator=torch.Generator().manual_seed(0))


DRAWS: list[Callable[[], Any]] = [
    own,
    lambda: torch.randint(9, (3,)),
    lambda: torch.randn_like(X),
    lambda: torch.distributions.Normal(0.0, X.exp()).sample(),
    lambda: torch.multinomial(X[0].softmax(1), 1),
    lambda: functional.dropout(X, 0.5, True),
]
NONE: list[Callable[[], Any]] = [
    lambda: functional.dropout(X, 0.5, False),
    lambda: functional.scaled_dot_product_attention(X, X, X),
    lambda: list(DataLoader(X, 2)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("act", DRAWS)
def test_a_draw_is_counted(act):
    with Draws() as draws:
        act()
    assert draws.count


@pytest.mark.parametrize("act", NONE)
def test_what_draws_nothing_is_not_counted(act):
    with torch.no_grad(), Draws() as draws:
        act()
    assert not draws.count
