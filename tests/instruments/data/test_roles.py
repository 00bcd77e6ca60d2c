"""Targets are found by what they do, whatever their names and containers are."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.instruments.data.roles import targets
from gonogo.training.session import Session
from gonogo.training.subject import Subject


def found(loss: Any, batch: Any, model: Any = lambda: nn.Linear(4, 3)) -> frozenset[str]:
    torch.manual_seed(0)
    return targets(Session(Subject("s", model=model, loss=loss, splits={"train": [batch]})))


def fields() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {"x": torch.randn(6, 4), "genres": torch.rand(6, 3), "unread": torch.randn(6, 2), "weight": torch.rand(6)}


def test_what_only_the_loss_reads_is_a_target():
    def loss(net: nn.Module, batch: Any) -> Tensor:
        return functional.mse_loss(net(batch["x"]), batch["genres"])

    assert found(loss, fields()) == {"genres"}


def test_parts_of_a_model_may_be_called_instead_of_the_model():
    def loss(net: Any, batch: Any) -> Tensor:
        return functional.mse_loss(net[0](batch["x"]), batch["genres"])

    assert found(loss, fields(), lambda: nn.Sequential(nn.Linear(4, 3))) == {"genres"}


def test_a_criterion_may_be_a_module_of_the_model():
    def loss(net: Any, batch: Any) -> Tensor:
        return net[1](net[0](batch["x"]), batch["genres"])

    assert found(loss, fields(), lambda: nn.Sequential(nn.Linear(4, 3), nn.MSELoss())) == {"genres"}


def test_a_target_that_the_model_sees_as_well_is_an_input():
    def loss(net: nn.Module, batch: Any) -> Tensor:
        return functional.mse_loss(net(batch["x"] + batch["weight"][:, None]), batch["weight"][:, None].expand(-1, 3))

    assert found(loss, fields()) == frozenset()


def test_order_does_not_count_where_the_loss_only_sums_up():
    def loss(net: nn.Module, batch: Any) -> Tensor:
        return net(batch["x"]).square().mean() + batch["weight"].mean()

    assert found(loss, fields()) == frozenset()


def test_nothing_is_known_without_a_loss_that_works():
    def loss(net: nn.Module, batch: Any) -> Tensor:
        if not net.training:
            raise AttributeError("a loss of training mode only")
        return functional.mse_loss(net(batch["x"]), batch["genres"])

    assert found(loss, fields()) == frozenset()
    assert targets(Session(Subject("data only", splits={"train": [fields()]}))) == frozenset()
