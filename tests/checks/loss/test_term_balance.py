"""One term that drowns the others is told from weights that somebody chose, and from penalties."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.checks.loss.term_balance import term_balance
from gonogo.core.criterion import Status
from gonogo.core.report import Result
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS

CHECK = term_balance.check  # type: ignore[attr-defined]


def said(loss: Callable[[Any, Any], Tensor]) -> Result:
    return answer(CHECK, TOYS["classifier"]().map_loss(lambda _: loss))


def errors(model: Any, batch: Any, *scales: float) -> list[Tensor]:
    answers, wanted = model(batch["features"]), batch["features"]
    return [functional.mse_loss(answers[:, k], scale * wanted[:, k]) for k, scale in enumerate(scales)]


def test_terms_in_different_units_are_named_with_their_shares():
    result = said(lambda model, batch: torch.stack(errors(model, batch, 1, 1, 100)).sum())
    assert result.status is Status.WARN
    assert result.observation is not None
    assert result.observation.tables[0].rows[0][-1] > 0.9  # type: ignore[operator]


def test_terms_of_one_unit_pass():
    assert said(lambda model, batch: torch.stack(errors(model, batch, 1, 1, 1)).sum()).status is Status.PASS


def test_weights_that_differ_were_chosen():
    def loss(model: Any, batch: Any) -> Tensor:
        one, two, three = errors(model, batch, 1, 1, 100)
        return one + 0.5 * two + 0.001 * three

    assert said(loss).status is Status.PASS


def test_penalties_are_no_terms_of_the_data():
    def loss(model: nn.Module, batch: Any) -> Tensor:
        penalties = [parameter.pow(2).sum() for parameter in model.parameters()]
        return functional.cross_entropy(model(batch["features"]), batch["label"]) + torch.stack(penalties).sum()

    assert said(loss).status is Status.SKIP


def test_a_loss_of_one_term_is_not_asked():
    assert answer(CHECK, TOYS["classifier"]()).status is Status.SKIP


def test_terms_that_share_no_weight_cannot_drown_each_other():
    def change(model: nn.Module) -> nn.Module:
        return nn.ModuleList([nn.Linear(12, 1) for _ in range(3)])

    def loss(model: Any, batch: Any) -> Tensor:
        x = batch["features"]
        return torch.stack([(head(x) - s).pow(2).mean() for head, s in zip(model, (1, 1, 100), strict=True)]).sum()

    assert answer(CHECK, TOYS["classifier"]().map_model(change).map_loss(lambda _: loss)).status is Status.SKIP
