"""Modules outside the registry: teachers and references by right, layers by mistake."""

from functools import partial

import pytest
import torch
from torch import nn

from gonogo.checks.model.hidden_modules import hidden_modules
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject


class Model(nn.Module):
    """Two layers; `hide` decides where the second one lives."""

    def __init__(self, hide):
        super().__init__()
        self.first = nn.Linear(4, 4)
        second = nn.Linear(4, 4)
        self.get = lambda: second
        if hide == "nested":
            self.layers, self.get = {"a": [(second,)]}, lambda: self.layers["a"][0][0]
        elif hide == "partial":
            self.layers = partial(nn.Module.__call__, second)
        elif hide == "object":
            self.layers = Holder(second)
        elif hide == "frozen teacher":
            self.layers = [second.requires_grad_(False)]
        elif hide == "teacher in evaluation":
            self.layers = [second.eval()]
        elif hide == "parent":
            self.layers, self.child = nn.ModuleList([second]), [self]
        elif hide == "averaged copy":
            self.layers, self.copy = nn.ModuleList([second]), [nn.Linear(4, 4)]

    def forward(self, x):
        return self.get()(self.first(x))


class Holder:
    def __init__(self, layer):
        self.layer = layer


def verdict(hide):
    def optimizer(model):
        return torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)

    subject = Subject(
        "by hand",
        model=lambda: Model(hide),
        loss=lambda model, batch: model(batch).square().mean(),
        optimizer=optimizer,
        splits={"train": [torch.randn(3, 4)]},
    )
    return answer(hidden_modules.check, subject).status


@pytest.mark.parametrize("hide", ["nested", "partial", "object", "closure"])
def test_a_layer_that_runs_and_is_not_registered_is_found(hide):
    assert verdict(hide) is Status.FAIL


@pytest.mark.parametrize("hide", ["frozen teacher", "teacher in evaluation", "parent", "averaged copy"])
def test_helpers_and_references_are_not_accused(hide):
    assert verdict(hide) is Status.PASS
