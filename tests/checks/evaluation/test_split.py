"""Which samples a validation reads, from what the model is given."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from gonogo.adapters.plain import from_parts
from gonogo.checks.evaluation.split import split
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

CHECK = split.check  # type: ignore[attr-defined]


class Flower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(4, 3)

    def forward(self, petal: torch.Tensor, sepal: torch.Tensor) -> torch.Tensor:
        return self.net(torch.cat([petal, sepal], 1))


def positional(model: nn.Module, batch: Any) -> torch.Tensor:
    return model(batch["petal"], batch["sepal"])


def named(model: nn.Module, batch: Any) -> torch.Tensor:
    return model(petal=batch["petal"], sepal=batch["sepal"])


def program(call: Any, reads: str, whole: bool = False) -> Subject:
    """An evaluation that reads "given", or closes over "train", "valid" or "both"."""

    def flowers(n: int, seed: int) -> Any:
        x = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))
        x = (3 * x).round() if whole else x
        return [{"petal": a[:2], "sepal": a[2:], "species": int(a[0] > 0)} for a in x]

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        return nn.functional.cross_entropy(call(model, batch), batch["species"])

    def build() -> dict[str, Any]:
        torch.manual_seed(0)
        model = Flower()
        train, valid = DataLoader(flowers(64, 1), 16, shuffle=True), DataLoader(flowers(48, 2), 16)

        def evaluate(model: nn.Module, loader: Any) -> dict[str, float]:
            sources = {"given": [loader], "train": [train], "valid": [valid], "both": [loader, train]}[reads]
            with torch.no_grad():
                losses = [float(loss(model, batch)) for source in sources for batch in source]
            return {"loss": sum(losses) / len(losses)}

        return {
            "model": model,
            "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
            "loss": loss,
            "evaluate": evaluate,
            "train_loader": train,
            "valid_loader": valid,
        }

    return from_parts(build(), build, "build")


@pytest.mark.parametrize("reads", ["given", "valid", "both"])
@pytest.mark.parametrize("call", [positional, named])
def test_a_validation_of_held_out_samples_is_healthy(call, reads):
    assert answer(CHECK, program(call, reads)).status is Status.PASS


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("call", [positional, named])
def test_a_validation_of_training_samples_is_found_in_fields_of_few_numbers(call, whole):
    assert answer(CHECK, program(call, "train", whole)).status is Status.FAIL
