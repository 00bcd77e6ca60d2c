"""What can be seen of a run under another configuration."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

from gonogo.errors import NotApplicable
from gonogo.instruments.configuration.effects import differing, digest, effects
from gonogo.testing.toys.configured import CONFIG, configured
from gonogo.training.session import Session
from gonogo.training.subject import Subject


def first_change(keys: tuple[str, ...], value: Any) -> list[str]:
    config = {**CONFIG, keys[0]: {**CONFIG[keys[0]], keys[1]: value} if len(keys) > 1 else value}
    session = Session(configured())
    return differing(effects(session, CONFIG), effects(session, config))


@pytest.mark.parametrize(
    ("keys", "value", "seen"),
    [
        (("model", "hidden"), 16, "parameters"),
        (("model", "dropout"), 0.4, "losses"),
        (("optimizer", "lr"), 1e-4, "optimizer"),
        (("optimizer", "max_norm"), 1e-3, "weights"),
        (("data", "batch_size"), 8, "data"),
        (("label_smoothing",), 0.1, "losses"),
    ],
)
def test_a_value_shows_where_it_acts(keys: tuple[str, ...], value: Any, seen: str) -> None:
    assert seen in first_change(keys, value)


def test_the_length_of_every_split_shows() -> None:
    def build(config: Mapping[str, Any]) -> Subject:
        batches = [torch.zeros(2, 2)] * 4
        splits = {"train": lambda: batches, "valid": lambda: batches, "test": lambda: batches[: config["tested"]]}
        return Subject(
            "s",
            model=lambda: nn.Linear(2, 1),
            loss=lambda model, batch: model(batch).square().mean(),
            optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
            splits=splits,
            with_config=build,
        )

    session = Session(build({"tested": 4}))
    assert differing(effects(session, {"tested": 4}), effects(session, {"tested": 2})) == ["epoch"]


def test_the_same_configuration_gives_the_same_digests() -> None:
    assert first_change(("epochs",), 99) == []


def test_tensors_count_bit_for_bit() -> None:
    one = torch.ones(3)
    assert digest({"a": one}) == digest({"a": one.clone()})
    assert digest(one) != digest(torch.nextafter(one, 2 * one))
    assert digest(torch.zeros(2, 3)) != digest(torch.zeros(3, 2))
    assert digest(torch.zeros(2)) != digest(torch.zeros(2, dtype=torch.float64))


def test_a_table_that_no_layer_looks_up_is_only_kept() -> None:
    class Net(nn.Linear):
        def __init__(self, base: float) -> None:
            super().__init__(2, 1)
            self.register_buffer("table", torch.full((3,), base))

    def build(config: Mapping[str, Any]) -> Subject:
        return Subject(
            "s",
            model=lambda: Net(config["base"]),
            loss=lambda model, batch: model(batch).square().mean(),
            optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
            splits={"train": lambda: [torch.ones(2, 2)]},
            config=config,
            with_config=build,
        )

    session = Session(build({"base": 1.0}))
    assert differing(effects(session, {"base": 1.0}), effects(session, {"base": 2.0})) == ["buffers"]


def test_without_a_way_to_build_nothing_is_compared() -> None:
    with pytest.raises(NotApplicable, match="with_config"):
        effects(Session(Subject("s")), {})
