"""A loss that falls passes; what the steps do not decide is not judged."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from gonogo.checks.learning.loss_falls import loss_falls
from gonogo.core.criterion import Status
from gonogo.core.report import Result
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS
from gonogo.training.subject import Subject

CHECK = loss_falls.check  # type: ignore[attr-defined]


def with_optimizer(build: Callable[[nn.Module], Any]) -> Result:
    return answer(CHECK, TOYS["classifier"]().map_optimizer(lambda _: build))


@pytest.mark.requirement("MAFT-3.3", "MAFT-10.3")
def test_the_curves_of_the_run_and_its_control_are_drawn():
    result = answer(CHECK, TOYS["multimodal"]())
    assert result.status is Status.PASS
    assert result.observation is not None
    [table] = result.observation.tables
    assert (table.kind, len(table.columns)) == ("line", 3)
    assert result.observation.measurements["gain"].value > 0.05  # type: ignore[operator]


def test_labels_that_mean_nothing_gain_nothing_over_the_control():
    def random(loader: Any) -> Any:
        draw = torch.Generator().manual_seed(3)
        return [{**batch, "label": torch.randint(4, batch["label"].shape, generator=draw)} for batch in loader]

    def slow(model: nn.Module) -> Any:
        return torch.optim.SGD(model.parameters(), lr=0.02)

    subject: Subject = TOYS["classifier"]().map_split("train", lambda split: split.map(random))
    result = answer(CHECK, subject.map_optimizer(lambda _: slow))
    assert result.status is Status.SKIP


def test_a_fine_tuning_rate_is_undecided():
    result = with_optimizer(lambda model: torch.optim.SGD(model.parameters(), lr=1e-6))
    assert result.status is Status.SKIP
    assert "inconclusive" in result.reason


def test_a_loss_that_diverges_warns():
    result = with_optimizer(lambda model: torch.optim.AdamW(model.parameters(), lr=300.0, maximize=True))
    assert result.status is not Status.PASS
