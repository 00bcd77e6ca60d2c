"""What becomes of a run when one value of its configuration changes, on hand-made runs."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gonogo.checks.config.dead_keys import dead_keys
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject

X = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self, hidden: int = 8, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, hidden), nn.Dropout(dropout), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def run(config: Mapping[str, Any]) -> Subject:
    """Only what is looked up here is effective."""
    get = config.get

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        out = model(batch)
        value = (out - batch.sum(1, keepdim=True)).square().mean()
        if get("use_penalty", False):
            value = value + get("penalty_weight", 0.1) * out.abs().mean()
        return value

    def step(model: nn.Module, optimizer: Any, batch: Tensor) -> float:
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        if get("max_norm"):
            nn.utils.clip_grad_norm_(model.parameters(), float(get("max_norm") or 0))
        optimizer.step()
        return float(value.detach())

    return Subject(
        "s",
        model=lambda: Net(get("hidden", 8), get("dropout", 0.0)),
        loss=loss,
        step=step,
        optimizer=lambda model: torch.optim.AdamW(
            model.parameters(), lr=float(get("lr", 1e-3)), weight_decay=get("weight_decay", 0.0)
        ),
        schedule=lambda optimizer: torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda at: min(1.0, at / get("warmup_length", 5))
        ),
        splits={"train": lambda: list(X.split(get("batch_size", 8)))},
        config=config,
        with_config=run,
    )


def found(subject: Subject) -> tuple[set[str], set[str]]:
    table = dead_keys(Session(subject)).tables[0]
    kinds = {"nothing": set(), "nothing here": set()}
    for key, _, change in table.rows:
        kinds.get(str(change), set()).add(str(key))
    return kinds["nothing"], kinds["nothing here"]


HEALTHY = {
    "lr": 1e-3,
    "hidden": 8,
    "dropout": 0.1,
    "weight_decay": 0.1,
    "batch_size": 8,
    "warmup_length": 50,
    "epochs": 3,
    "seed": 0,
    "name": "a run",
    "log_every": 10,
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"max_norm": 1},  # an int, and far above the norms that occur
        {"max_norm": 1000.0},
        {"max_norm": None},
        {"max_norm": 0.0},
        {"dropout": 0},
        {"lr": 0.0},
        {"lr": "1e-3"},
        {"use_penalty": True, "penalty_weight": 0.1},
        {"use_penalty": False, "penalty_weight": 0.1},  # means something once it is switched on
        {"use_penalty": False, "penalty_weight": 0.0},
    ],
)
def test_a_healthy_run_has_no_dead_key(more: dict[str, Any]) -> None:
    assert found(run({**HEALTHY, **more}))[0] == set()


@pytest.mark.parametrize("key", ["label_smoothing", "distill_loss_weight", "num_layers", "heads", "use_rotary"])
def test_a_key_that_nothing_reads_is_dead(key: str) -> None:
    assert found(run({**HEALTHY, key: True if key.startswith("use") else 2}))[0] == {key}


@pytest.mark.parametrize("key", ["lr", "hidden", "dropout", "weight_decay", "batch_size"])
def test_a_key_that_a_default_overwrites_is_dead(key: str) -> None:
    def overwriting(config: Mapping[str, Any]) -> Subject:
        return run({**config, key: HEALTHY[key]})

    subject = run(HEALTHY)
    object.__setattr__(subject, "with_config", overwriting)
    assert found(subject)[0] == {key}


def test_what_a_text_may_have_switched_off_is_only_idle() -> None:
    config = {**HEALTHY, "optimizer": "adamw", "momentum": 0.9, "model": "mlp", "heads": 4}
    assert found(run(config)) == (set(), {"momentum", "heads"})


def test_a_rate_that_another_one_replaces_is_only_idle() -> None:
    def one_cycle(config: Mapping[str, Any]) -> Subject:
        return run({**config, "lr": config["max_lr"]})

    subject = one_cycle({**HEALTHY, "max_lr": 1e-2})
    object.__setattr__(subject, "with_config", one_cycle)
    object.__setattr__(subject, "config", {**HEALTHY, "max_lr": 1e-2})
    assert found(subject) == (set(), {"lr"})


def test_a_run_that_does_not_repeat_is_not_judged() -> None:
    subject = run(HEALTHY)
    noise = torch.Generator()
    noise.seed()
    shaken = subject.map_loss(lambda loss: lambda m, b: loss(m, b) * (1 + torch.rand((), generator=noise)))
    object.__setattr__(shaken, "step", None)
    object.__setattr__(shaken, "with_config", lambda config: shaken)
    with pytest.raises(NotApplicable, match="differ"):
        dead_keys(Session(shaken))


def test_a_run_that_cannot_be_built_again_is_not_judged() -> None:
    subject = run(HEALTHY)
    object.__setattr__(subject, "with_config", lambda config: run(config["missing"]))
    with pytest.raises(NotApplicable, match="KeyError"):
        dead_keys(Session(subject))
