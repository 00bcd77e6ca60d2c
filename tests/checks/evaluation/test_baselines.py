"""Metrics are held against predictors that know nothing; odd but right metrics are not accused."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.adapters.plain import from_parts
from gonogo.checks.evaluation.baselines import baselines
from gonogo.core.criterion import Status
from gonogo.core.report import Result
from gonogo.testing.contract import answer

CHECK = baselines.check  # type: ignore[attr-defined]
Numbers = dict[str, float]


def result(score: Callable[[Tensor, Tensor], Numbers], *, rare: bool = False, **more: Any) -> Result:
    def loss(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(model(batch[0]), batch[1])

    def evaluate(model: nn.Module, loader: Any) -> Numbers:
        model.eval()
        with torch.no_grad():
            parts = [(model(x), y) for x, y in loader]
        model.train()
        return score(torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts]))

    def build() -> dict[str, Any]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
        x = torch.randn(12, 20, 6)
        y = (x[..., 0] > 1.7).long() if rare else x[..., :3].argmax(-1)
        data = list(zip(x, y, strict=True))
        parts = {"model": model, "loss": loss, "evaluate": evaluate, "train_loader": data[:8], "valid_loader": data[8:]}
        return {**parts, "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2), **more}

    return answer(CHECK, from_parts(build(), build, "build"))


def accuracy(scores: Tensor, y: Tensor) -> Numbers:
    return {"accuracy": float((scores.argmax(1) == y).double().mean()), "count": float(len(y))}


def confidence(scores: Tensor, y: Tensor) -> Numbers:
    return {"quality": float(scores.double().softmax(1).amax(1).mean()), "count": float(len(y))}


def test_an_accuracy_beside_a_count_is_healthy_and_has_a_floor():
    found = result(accuracy)
    assert found.status is Status.PASS
    assert found.observation is not None
    assert [row[0] for row in found.observation.tables[0].rows][-2:] == ["right answers", "wrong answers"]


def test_the_accuracy_of_a_majority_is_information_only():
    assert result(accuracy, rare=True).status is Status.PASS


def test_a_metric_that_does_not_see_the_targets_is_reported():
    assert result(confidence).status is Status.WARN


def test_a_metric_that_is_too_coarse_to_see_what_was_learned_is_not_called_blind():
    assert result(lambda scores, y: {"exact": float((scores.argmax(1) == y).all())}).status is not Status.WARN
